# SPDX-License-Identifier: MIT
"""`simharness calibrate`: a board file fitted to measurements of one's own."""

from __future__ import annotations

import argparse

from simharness.commands.talk import Commands, Talk, add_talk_options, deliver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "calibrate",
        help="fit a board file to your measurements",
        description="Fit the run current (columns clock_hz, current_ma) and the memory stalls "
        "(measured_cycles, core_cycles, stall_cycles) of a board to MEASUREMENTS.csv. The board "
        "file goes to stdout or -o, each fitted figure marked; residuals go to stderr.",
    )
    parser.add_argument("measurements", metavar="MEASUREMENTS.csv")
    parser.add_argument("--board", required=True, metavar="NAME|FILE.toml")
    parser.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Fit, print the file, say the residuals."""
    from pathlib import Path

    from cycle_models.calibrate import calibrate
    from cycle_models.chip import load_chip
    from simharness.errors import translated

    with translated():
        fitted = calibrate(load_chip(arguments.board), Path(arguments.measurements))
    for r in fitted.residuals:
        talk.say(
            f"line {r.row}: {r.what} {r.measured:g}, fit {r.error_percent:+.1f} %, "
            f"left out {r.left_out_percent:+.1f} %"
        )
    deliver(fitted.toml, arguments.output, talk)
    return 0
