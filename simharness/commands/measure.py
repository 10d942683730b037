# SPDX-License-Identifier: MIT
"""`simharness measure`: networks on a real board, beside the model's figures."""

from __future__ import annotations

import argparse

from simharness.commands.options import add_machine_options
from simharness.commands.talk import Commands, Talk, add_talk_options, deliver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "measure",
        help="run networks and micro-benchmarks on a real board and write what calibrate reads",
        description="Run every MODEL (with --micro also short sequences of instructions) on the "
        "board behind a GDB server and write a CSV of measured and modelled cycles, which "
        "'simharness calibrate' reads. The program sets no clock: give with --clock the one the "
        "board runs at, often that of its reset.",
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", help=".onnx files, or zoo:NAME")
    parser.add_argument(
        "--target", metavar="HOST:PORT|pyocd[:PROBE]", required=True,
        help="the GDB server (OpenOCD and pyOCD use port 3333, J-Link 2331), or one that pyOCD "
        "starts for the time of the measurement",
    )  # fmt: skip
    parser.add_argument(
        "--micro", action="store_true",
        help="also the micro-benchmarks of the core: short sequences of instructions",
    )  # fmt: skip
    add_machine_options(parser)
    parser.add_argument("--toolchain", choices=("auto", "gcc", "zig"), default="auto")
    parser.add_argument("--optimize", choices=("speed", "size", "balanced"), default="balanced")
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="per inference (default: 60)"
    )
    parser.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Measure, write the table."""
    with talk.progress(3 * len(arguments.models)) as progress:
        from simharness.measure import measure, table

        rows = measure(
            arguments.models,
            arguments.target,
            core=arguments.core,
            board=arguments.board,
            clock_hz=arguments.clock_hz,
            toolchain=arguments.toolchain,
            optimize=arguments.optimize,
            micro=arguments.micro,
            seconds=arguments.timeout,
            progress=progress,
        )
    deliver(table(rows), arguments.output, talk)
    return 0
