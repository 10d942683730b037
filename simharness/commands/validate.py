# SPDX-License-Identifier: MIT
"""`simharness validate`: the models beside every published figure that is kept."""

from __future__ import annotations

import argparse
import csv
import io
import statistics

from simharness.commands.talk import Commands, Talk, add_talk_options, deliver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "validate",
        help="models beside published measurements",
        description="Print predicted, measured and error of every published row that is kept, rows "
        "that the models were calibrated on and rows that they were not apart.",
    )
    parser.add_argument("--format", choices=("table", "csv"), default="table")
    parser.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Print the rows."""
    from cycle_models.published import rows
    from simharness.errors import translated

    with translated():
        found = rows()
    if arguments.format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ("use", "subject", "what", "unit", "measured", "predicted", "error_percent")
        )
        for r in found:
            error = f"{r.error_percent:.2f}"
            writer.writerow((r.use, r.subject, r.what, r.unit, r.measured, r.predicted, error))
        deliver(text.getvalue(), arguments.output, talk)
        return 0
    lines = []
    for use in dict.fromkeys(r.use for r in found):
        mine = [r for r in found if r.use == use]
        lines += [use, f"  {'measured':>14} {'predicted':>14} {'error':>8}"]
        lines += [
            f"  {r.measured:>14,.1f} {r.predicted:>14,.1f} {r.error_percent:>+7.1f}%  {r.unit:<6} "
            f"{r.subject}: {r.what}"
            for r in mine
        ]
        mean = statistics.mean(abs(r.error_percent) for r in mine)
        lines += [f"  mean absolute error of {len(mine)} rows: {mean:.1f} %", ""]
    deliver("\n".join(lines), arguments.output, talk)
    return 0
