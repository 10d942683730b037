# SPDX-License-Identifier: MIT
"""The command line: stdout is data, stderr is talk, the exit code is the verdict.

0 fine; 1 a check or gate failed; 2 wrong usage or unsupported model; 3 a tool is missing; 4 the
emulated program faulted; 70 a defect of our own. What is heavy is imported when it is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

import simharness
from simharness import pristine
from simharness.commands import (
    bench,
    build,
    cache,
    calibrate,
    compare,
    crosscheck,
    doctor,
    listing,
    measure,
    profile,
    run,
    show,
    validate,
)
from simharness.commands.talk import Talk
from simharness.errors import SimharnessError

INTERNAL = 70
"""The exit code of a defect in simharness itself."""

_EPILOG = """\
examples:
  simharness run --core m4 zoo:lenet5-int8
  simharness run --board STM32H743 --clock 240MHz --format json -o report.json model.onnx
  simharness build model.onnx -o generated/

exit codes: 0 fine, 1 a check or gate failed, 2 wrong usage or unsupported model,
3 a tool is missing, 4 the emulated program faulted
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="simharness",
        description="What will my network do on that microcontroller? ONNX to C to emulated "
        "Cortex-M, checked to the bit, with modelled cycles and energy.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"simharness {simharness.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (
        run, profile, show, compare, crosscheck, build, bench, measure, calibrate, validate,
        listing,
        doctor, cache,
    ):  # fmt: skip
        module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    pristine.watch()
    arguments = parser().parse_args(argv)
    talk = Talk.of(arguments)
    try:
        code: int = arguments.handler(arguments, talk)
        sys.stdout.flush()
        return code
    except SimharnessError as error:
        talk.error(str(error))
        return error.exit_code
    except (MemoryError, AssertionError, LookupError, TypeError, ValueError, ArithmeticError):
        traceback.print_exc()
        talk.error("this is a mistake in simharness, not in what you did; please report it")
        return INTERNAL
    except BrokenPipeError:
        # The reader of our stdout went away; leave without a second complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        talk.error("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
