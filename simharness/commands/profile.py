# SPDX-License-Identifier: MIT
"""`simharness profile`: a function of any firmware, on the same machine."""

from __future__ import annotations

import argparse

from simharness.commands.options import (
    add_machine_options,
    add_schedule_options,
    positive,
    seconds,
)
from simharness.commands.run import (
    add_output_options,
    complain,
    rendered,
    schedule_of,
    with_schedule,
)
from simharness.commands.talk import Commands, Talk, add_talk_options, deliver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "profile",
        help="count and time a function of any firmware",
        description="Load FIRMWARE.elf, call one of its functions on an emulated core, and report "
        "instructions, cycles and energy by function. Initialised data is in place as after "
        "start-up; there are no peripherals.",
    )
    parser.add_argument("elf", metavar="FIRMWARE.elf")
    parser.add_argument(
        "--call", default="main", metavar="FUNCTION", help="which must return (default: main)"
    )
    parser.add_argument(
        "--args", default="", metavar="A,B,...",
        help="up to four integers for it, 0x... allowed (default: none)",
    )  # fmt: skip
    console = parser.add_argument_group("a whole firmware, unmodified")
    console.add_argument(
        "--console", metavar="SCRIPT",
        help="boot FIRMWARE (.elf, .bin, .hex) on --board, speak to its UART as the script says "
        "(expect, send, hex, measure, timeout) and time the window that `measure` opens",
    )  # fmt: skip
    console.add_argument(
        "--from", dest="start", metavar="PLACE",
        help="boot FIRMWARE and time from the first time this symbol or address is reached ...",
    )  # fmt: skip
    console.add_argument("--to", dest="stop", metavar="PLACE", help="... to the next time of this")
    console.add_argument(
        "--for", dest="run_for_s", type=seconds, metavar="TIME",
        help="boot FIRMWARE and time so much emulated time (10ms) from reset, or after --console; "
        "less when the firmware ends in a branch to itself, a WFI or a breakpoint",
    )  # fmt: skip
    console.add_argument(
        "--origin", type=lambda text: int(text, 0), metavar="ADDRESS",
        help="where a raw binary goes (default: the start of the board's code memory)",
    )  # fmt: skip
    add_machine_options(parser)
    add_schedule_options(parser)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--budget", type=positive, metavar="N", help="give up after so many instructions"
    )
    group.add_argument("--timing", choices=("auto", "zero-wait"), default="auto")
    group.add_argument(
        "--sanitize", metavar="CONTRACT.json",
        help="watch every memory access of the functions in this file, which says what each may "
        "read and write (README: 'Memory of any ELF'); exit 1 when one touches more",
    )  # fmt: skip
    add_output_options(parser)
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Profile and print."""
    if arguments.console or arguments.start or arguments.stop or arguments.run_for_s:
        return _console(arguments, talk)
    with talk.progress(1) as progress:
        progress("emulating")
        import simharness
        from simharness.errors import UsageError
        from simharness.options import BUDGET

        try:
            values = [int(part, 0) for part in arguments.args.split(",") if part.strip()]
        except ValueError:
            raise UsageError(f"--args takes integers, not {arguments.args!r}") from None
        report = simharness.profile(
            arguments.elf,
            arguments.call,
            values,
            core=arguments.core,
            board=arguments.board,
            clock_hz=arguments.clock_hz,
            budget=arguments.budget or BUDGET,
            timing=arguments.timing,
            sanitize=arguments.sanitize,
        )
        report = with_schedule(report, arguments)
    deliver(rendered(report, arguments.format, arguments.output, talk), arguments.output, talk)
    if not report.ok:
        complain(report, arguments.format, talk)
    return 0 if report.ok else 1


def _console(arguments: argparse.Namespace, talk: Talk) -> int:
    """Boot a firmware and time what its console script measures."""
    with talk.progress(1) as progress:
        progress("emulating")
        from simharness.errors import UsageError
        from simharness.foreign import profile_console
        from simharness.foreign.show import VIEWS

        if arguments.sanitize:
            raise UsageError("--sanitize goes with --call, not with a whole firmware")
        if not arguments.board:
            raise UsageError("a whole firmware needs --board: it is made for one chip")
        if bool(arguments.start) != bool(arguments.stop):
            raise UsageError("--from and --to go together")
        if arguments.budget:
            raise UsageError("--budget goes with --call; a whole firmware is given --for TIME")
        if arguments.run_for_s and arguments.start:
            raise UsageError("give --from and --to, or --for, not both")
        if arguments.format not in VIEWS:
            known = ", ".join(VIEWS)
            raise UsageError(f"a whole firmware has the formats {known}, not {arguments.format}")
        session = profile_console(
            arguments.elf,
            arguments.board,
            arguments.console,
            between_places=(arguments.start, arguments.stop) if arguments.start else None,
            run_for_s=arguments.run_for_s,
            zero_wait=arguments.timing == "zero-wait",
            clock_hz=arguments.clock_hz,
            origin=arguments.origin,
        )
        if schedule := schedule_of(arguments):
            from cycle_models.chip import load_chip
            from simharness.schedule import session_scheduled

            session = session_scheduled(session, schedule, load_chip(arguments.board))
    deliver(VIEWS[arguments.format](session), arguments.output, talk)
    return 0
