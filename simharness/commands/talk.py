# SPDX-License-Identifier: MIT
"""Talk goes to stderr, data to stdout or a file; who wants colour and who wants quiet."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from simharness.files import write_file


@dataclass(frozen=True, slots=True)
class Talk:
    """How much to say (-1 quiet, 0 normal, 1 verbose) and whether in colour ("auto": on a TTY)."""

    level: int = 0
    color: str = "auto"

    @staticmethod
    def of(arguments: argparse.Namespace) -> Talk:
        return Talk(getattr(arguments, "verbosity", 0) or 0, getattr(arguments, "color", "auto"))

    def wants_color(self, stream: TextIO) -> bool:
        """As asked with --color; else NO_COLOR, FORCE_COLOR and whether `stream` is a terminal."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

    def error(self, text: str) -> None:
        """Say what went wrong, whatever the level."""
        head = "error:"
        if self.wants_color(sys.stderr):
            head = f"\x1b[1;31m{head}\x1b[0m"
        print(f"{head} {printable(text)}", file=sys.stderr)

    def say(self, text: str) -> None:
        """Say something useful, unless quiet."""
        if self.level >= 0:
            print(printable(text), file=sys.stderr)

    @contextlib.contextmanager
    def progress(self, stages: int) -> Iterator[Callable[[str], None]]:
        """A function to call with the name of each stage as it starts; a bar on terminals only."""
        if self.level > 0:
            start = time.monotonic()
            yield lambda what: self.say(f"{time.monotonic() - start:6.1f} s  {what}")
        elif self.level < 0 or not sys.stderr.isatty():
            yield lambda what: None
        else:
            with _bar(stages, color=self.wants_color(sys.stderr)) as advance:
                yield advance


@contextlib.contextmanager
def _bar(stages: int, *, color: bool) -> Iterator[Callable[[str], None]]:
    """A bar with the stage's name and the time; it disappears when done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=not color)
    columns = (
        SpinnerColumn(),
        BarColumn(20),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=stages)
        seen = 0

        def advance(what: str) -> None:
            nonlocal seen
            bar.update(task, description=printable(what), completed=min(seen, stages))
            seen += 1

        yield advance


def printable(text: str) -> str:
    """Names come from files: control characters but line ends must not reach the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def deliver(text: str, output: str | None, talk: Talk) -> None:
    """Put data on stdout ("-" or None) or, whole or not at all, into a file."""
    if output is None or output == "-":
        sys.stdout.write(text)
        return
    write_file(Path(output), text)
    talk.say(f"wrote {output}")


def add_talk_options(parser: argparse.ArgumentParser) -> None:
    """-v, -q and --color, the same for every command."""
    group = parser.add_argument_group("talk")
    level = group.add_mutually_exclusive_group()
    level.add_argument(
        "-v", "--verbose", dest="verbosity", action="store_const", const=1, default=0,
        help="say what is being done, with times",
    )  # fmt: skip
    level.add_argument(
        "-q", "--quiet", dest="verbosity", action="store_const", const=-1,
        help="say nothing but errors",
    )  # fmt: skip
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto",
        help="colour in talk and tables (default: on terminals; NO_COLOR is honoured)",
    )  # fmt: skip


Commands = Any
"""What `add_subparsers` returns: argparse has no public name for it."""
