# SPDX-License-Identifier: MIT
"""`simharness show`: a saved report in another format."""

from __future__ import annotations

import argparse

from simharness.commands.run import add_output_options, rendered
from simharness.commands.talk import Commands, Talk, add_talk_options, deliver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "show",
        help="show a saved JSON report in another format",
        description="Read a report that 'run --format json' wrote, and write it in another format.",
    )
    parser.add_argument("report", metavar="REPORT.json")
    add_output_options(parser)
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Read and render."""
    from simharness.report import read

    report = read(arguments.report)
    deliver(rendered(report, arguments.format, arguments.output, talk), arguments.output, talk)
    return 0
