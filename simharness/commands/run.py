# SPDX-License-Identifier: MIT
"""`simharness run`: everything about one network on one machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from simharness.commands.options import (
    add_code_options,
    add_machine_options,
    add_place_option,
    add_schedule_options,
    positive,
)
from simharness.commands.talk import Commands, Talk, add_talk_options, deliver
from simharness.errors import UsageError
from simharness.options import Progress
from simharness.report.formats import FORMATS, view

if TYPE_CHECKING:
    from simharness.report import Report
    from simharness.schedule import Schedule

STAGES = 6
TOOLCHAINS = ("auto", "gcc", "zig")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "run",
        help="compile, emulate, check and time a network",
        description="Turn MODEL into C, cross-compile it, run it on an emulated core, compare "
        "every output with ONNX Runtime's, and report what the board would do.",
    )
    parser.add_argument("model", metavar="MODEL", help="an .onnx file, or zoo:NAME")
    add_machine_options(parser)
    add_code_options(parser)
    group = add_run_options(parser, {"all": "a report for each"})
    group.add_argument(
        "--reuse", action="store_true",
        help="take the report of an earlier equal run where nothing it rests on has changed",
    )  # fmt: skip
    add_schedule_options(parser)
    add_output_options(parser)
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def add_run_options(
    parser: argparse.ArgumentParser, more: Mapping[str, str] = MappingProxyType({})
) -> argparse._ArgumentGroup:
    """How to build and run a network, beyond its machine and its code."""
    add_place_option(parser)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--toolchain", choices=(*TOOLCHAINS, *more), default="auto",
        help="the cross-compiler (default: arm-none-eabi-gcc where installed, else zig)"
        + "".join(f"; {name}: {what}" for name, what in more.items()),
    )  # fmt: skip
    group.add_argument(
        "--engine", default="unicorn", metavar="NAME", help="the emulator (default: unicorn)"
    )
    group.add_argument(
        "--target", metavar="HOST:PORT|pyocd[:PROBE]",
        help="the GDB server in front of a board, or one that pyOCD starts for the time of the "
        "run: runs there (--engine gdb)",
    )  # fmt: skip
    group.add_argument(
        "--inputs",
        metavar="FILE.npz",
        help="samples under the model's input names (default: random)",
    )
    group.add_argument(
        "--samples", type=positive, metavar="N", help="how many samples to check on (default: 4)"
    )
    group.add_argument("--seed", type=int, default=0, help="of the random samples (default: 0)")
    group.add_argument(
        "--emulate-anyway", action="store_true",
        help="run a network that does not fit, on enlarged memories",
    )  # fmt: skip
    group.add_argument(
        "--budget", type=positive, metavar="N",
        help="give up after so many instructions per inference (default: 20 billion)",
    )  # fmt: skip
    group.add_argument(
        "--timing", choices=("auto", "zero-wait"), default="auto",
        help="simulate the board's flash and caches (auto), or take memories as zero-wait",
    )  # fmt: skip
    group.add_argument(
        "--sanitize", action="store_true",
        help="watch every memory access: dead, foreign or uninitialized bytes, stray writes",
    )  # fmt: skip
    return group


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """--format and -o."""
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format", choices=("table", *FORMATS), default="table",
        help="table (default); json, the one true form; md, html for people; csv, junit, benchmark "
        "(github-action-benchmark), callgrind, speedscope, trace (Perfetto) for other tools",
    )  # fmt: skip
    output.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Run with each compiler, print the reports; 1 when a check failed."""
    names = ("gcc", "zig") if arguments.toolchain == "all" else (arguments.toolchain,)
    with talk.progress(STAGES * len(names)) as progress:
        reports = [
            with_schedule(
                run_model(arguments, arguments.model, name, progress, reuse=arguments.reuse),
                arguments,
            )
            for name in names
        ]
    texts = [rendered(r, arguments.format, arguments.output, talk) for r in reports]
    deliver(joined(texts, arguments.format), arguments.output, talk)
    for report in reports:
        complain(report, arguments.format, talk)
    return 0 if all(report.ok for report in reports) else 1


def schedule_of(arguments: argparse.Namespace) -> Schedule:
    """What --period, --duty and --battery say."""
    from simharness.schedule import Schedule

    return Schedule(arguments.period_s, arguments.duty, arguments.battery_mah)


def with_schedule(report: Report, arguments: argparse.Namespace) -> Report:
    """The report with average power, where that was asked for."""
    from simharness.schedule import scheduled

    schedule = schedule_of(arguments)
    if not schedule:
        return report
    return scheduled(report, schedule, core=arguments.core, board=arguments.board)


def joined(texts: Sequence[str], style: str) -> str:
    """Several reports as one text; of JSON a list. Raises UsageError where a format has no way."""
    if len(texts) == 1:
        return texts[0]
    if style == "json":
        return "[\n" + ",\n".join(text.rstrip("\n") for text in texts) + "\n]\n"
    if style in ("table", "md"):
        return "\n".join(texts)
    raise UsageError(f"--toolchain all has no --format {style}: choose table, md or json")


def run_model(
    arguments: argparse.Namespace,
    model: str | Path,
    toolchain: str,
    progress: Progress,
    *,
    reuse: bool,
) -> Report:
    """`simharness.run` with what the command line says."""
    progress("starting")
    import simharness
    from simharness.options import BUDGET

    return simharness.run(
        model,
        core=arguments.core,
        board=arguments.board,
        clock_hz=arguments.clock_hz,
        toolchain=toolchain,
        optimize=arguments.optimize,
        requant=arguments.requant,
        planner=arguments.planner,
        reference_kernels=arguments.reference_kernels,
        engine=engine_of(arguments.engine, arguments.target),
        inputs=arguments.inputs,
        samples=arguments.samples,
        seed=arguments.seed,
        emulate_anyway=arguments.emulate_anyway,
        budget=arguments.budget or BUDGET,
        timing=arguments.timing,
        sanitize=arguments.sanitize,
        patches=arguments.patches,
        ram_limit_bytes=arguments.ram_limit_bytes,
        place=arguments.place,
        reuse=reuse,
        progress=progress,
    )


def rendered(report: Report, style: str, output: str | None, talk: Talk) -> str:
    """The report as a table or in a format of `FORMATS`."""
    if style != "table":
        return view(report, style)
    from simharness.report import terminal

    if output in (None, "-") and talk.wants_color(sys.stdout):
        return terminal.render(report, color=True, width=_terminal_width())
    return terminal.render(report)


def complain(report: Report, style: str, talk: Talk) -> None:
    """What failed, on stderr, for those whose data went elsewhere."""
    from simharness.report import figures

    found = report.results
    if not report.ok and style != "table":
        talk.error(figures.verdict(report))
        if found.check is not None and not found.check.ok:
            talk.error(figures.check(found.check))
            if found.check.divergence:
                talk.error(figures.divergence(found.check))
        for line in figures.violations(found.sanitizer):
            talk.error(line)
        if not found.fit.ok:
            talk.error(figures.fit(found.fit))
    if found.check is None and not found.fit.ok:
        talk.say("to emulate it on enlarged memories all the same, add --emulate-anyway")


def _terminal_width() -> int:
    import shutil

    return max(80, shutil.get_terminal_size().columns)


def engine_of(name: str, target: str | None) -> str:
    """The engine's name with its argument; a target alone means the gdb engine."""
    if target is None:
        return name
    return f"{'gdb' if name == 'unicorn' else name}:{target}"
