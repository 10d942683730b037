# SPDX-License-Identifier: MIT
"""`simharness compare`: the gate between two reports, two networks, or two revisions of one."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simharness import revisions, zoo
from simharness.commands.options import add_code_options, add_machine_options
from simharness.commands.run import STAGES, add_run_options, run_model
from simharness.commands.talk import Commands, Talk, add_talk_options, deliver
from simharness.errors import UsageError
from simharness.options import Progress

if TYPE_CHECKING:
    from simharness.report import Report

_EPILOG = """\
examples:
  simharness compare base.json head.json
  simharness compare origin/main HEAD --model model.onnx --core m4
  simharness compare main --model model.onnx            (against the working tree)
  simharness compare main:old/net.onnx net.onnx --anyway
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "compare",
        help="compare two reports, networks or git revisions; exit 1 when something got worse",
        description="Compare two reports of one network on one machine. BASE and HEAD are JSON "
        "reports, or networks (.onnx), which are run first with the options below; either may be "
        "REVISION:PATH, the file as git has it. With --model they are git revisions. Exits with 1 "
        "when the outputs are wrong, the program does not fit any more, or a gated figure got "
        "worse than allowed. A network that ran before is not run again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE")
    parser.add_argument(
        "head", metavar="HEAD", nargs="?", help="with --model default: the working tree"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="run this network, as it is at the revisions BASE and HEAD"
    )
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
    add_machine_options(parser)
    add_code_options(parser)
    add_run_options(parser)
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Run what has to be run, compare and print."""
    import json

    from simharness.report import comparison_views
    from simharness.report.compare import EXACT, compare, tolerances
    from simharness.report.serial import to_plain

    gates = EXACT if arguments.fail is None else tolerances(arguments.fail)
    base, head = _reports(arguments, talk)
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


def _reports(arguments: argparse.Namespace, talk: Talk) -> tuple[Report, Report]:
    base, head, model = arguments.base, arguments.head, arguments.model
    if model is not None:
        revisions.resolve(base)  # before anything takes time
        places = (f"{base}:{model}", model if head is None else f"{head}:{model}")
    elif head is None:
        raise UsageError("compare what with what? give HEAD, or a network with --model")
    else:
        places = (base, head)
    runs = sum(map(_is_network, places))
    with talk.progress(STAGES * runs) as progress:
        first, second = (_report(place, arguments, progress) for place in places)
    return first, second


def _is_network(place: str) -> bool:
    return place.endswith(".onnx") or place.startswith(zoo.PREFIX)


def _report(place: str, arguments: argparse.Namespace, progress: Progress) -> Report:
    """The report that is at a place, or that of the network there. Raises UsageError."""
    revision, path = _at(place)
    if not _is_network(place):
        from simharness.report import from_json, read

        if revision:
            return from_json(revisions.content(revision, path), place)
        if not Path(place).exists() and _is_revision(place):
            raise UsageError(
                f"{place} is a git revision: say of which network, as --model net.onnx"
            )
        return read(place)
    if not revision:
        return run_model(arguments, place, arguments.toolchain, progress, reuse=True)
    with tempfile.TemporaryDirectory(prefix="simharness-") as folder:
        copy = revisions.checkout(revision, path, Path(folder))
        try:
            report = run_model(arguments, copy, arguments.toolchain, progress, reuse=True)
        except UsageError as error:
            raise UsageError(f"at {revision}: {error}") from error
    inputs = (replace(i, path=path) if i.role == "model" else i for i in report.inputs)
    return replace(report, model=path, inputs=tuple(inputs))


def _at(place: str) -> tuple[str, str]:
    """REVISION:PATH in two; no revision for a file that is there, C:/x and zoo:x."""
    revision, colon, path = place.partition(":")
    known = Path(place).exists() or place.startswith(zoo.PREFIX)
    if known or not colon or len(revision) < 2 or revision.startswith("-"):
        return "", place
    return revision, path


def _is_revision(place: str) -> bool:
    try:
        revisions.resolve(place)
    except UsageError:
        return False
    return True
