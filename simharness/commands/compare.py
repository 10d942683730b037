# SPDX-License-Identifier: MIT
"""`simharness compare`: the gate between two reports."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from simharness.commands.talk import Commands, Talk, add_talk_options, deliver
from simharness.errors import UsageError

if TYPE_CHECKING:
    from simharness.report import Report


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "compare",
        help="compare two reports; exit 1 when something got worse",
        description="Compare two JSON reports of one network on one machine. BASE and HEAD are "
        "files, or REVISION:PATH for a file as git has it. Exits with 1 when the outputs are "
        "wrong, the program does not fit any more, or a gated figure got worse than allowed.",
    )
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("head", metavar="HEAD")
    parser.add_argument(
        "--fail", metavar="GATES",
        help="gate these figures only, as cycles:0%%,arena:0,energy:1%% "
        "(default: every figure, at 0)",
    )  # fmt: skip
    parser.add_argument(
        "--anyway", action="store_true", help="compare different networks or machines, too"
    )
    parser.add_argument("--no-layers", action="store_true", help="without the layers that moved")
    parser.add_argument("--format", choices=("table", "md", "html", "json"), default="table")
    parser.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Compare and print."""
    import json

    from simharness.report import comparison_views
    from simharness.report.compare import EXACT, compare, tolerances
    from simharness.report.serial import to_plain

    gates = EXACT if arguments.fail is None else tolerances(arguments.fail)
    base, head = report_at(arguments.base), report_at(arguments.head)
    found = compare(base, head, gates, anyway=arguments.anyway)
    if arguments.format == "json":
        text = json.dumps(to_plain(found), indent=2, ensure_ascii=False) + "\n"
    elif arguments.format == "html":
        from simharness.report.html import render

        text = render(head, base, found)
    elif arguments.format == "md":
        text = comparison_views.markdown_text(found)
    else:
        text = comparison_views.text(found, layers=not arguments.no_layers)
    deliver(text, arguments.output, talk)
    if not found.ok and (arguments.format != "table" or arguments.output):
        talk.error(comparison_views.verdict(found))
    return 0 if found.ok else 1


def report_at(place: str) -> Report:
    """The report in a file, or in one that git has at REVISION:PATH. Raises UsageError."""
    from simharness.report import from_json, read

    revision, colon, path = place.partition(":")
    if Path(place).exists() or not colon or len(revision) < 2 or revision.startswith("-"):
        return read(place)
    try:
        done = subprocess.run(
            ["git", "show", f"{revision}:./{path}"], capture_output=True, check=False
        )
    except OSError as error:
        raise UsageError(f"{place}: git cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"{place}: git has no such file: {said[0] if said else 'no reason given'}")
    return from_json(done.stdout, place)
