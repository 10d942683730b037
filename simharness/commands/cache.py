# SPDX-License-Identifier: MIT
"""`simharness cache`: where the cache is, how large it is, and a way to empty it."""

from __future__ import annotations

import argparse

from simharness.commands.talk import Commands, Talk, add_talk_options


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "cache",
        help="show or empty the cache of compiled programs and reports",
        description="Show where the cache is and how large; losing it costs time, never a result.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--clear", action="store_true", help="remove everything")
    what.add_argument("--size", action="store_true", help="print its size in bytes, nothing else")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Show or clear."""
    from simharness import cache
    from simharness.report import figures

    folder = cache.folder()
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    size = sum(p.stat().st_size for p in files)
    if arguments.clear:
        cache.clear()
        talk.say(f"removed {figures.size(size)} from {folder}")
    elif arguments.size:
        print(size)
    else:
        print(f"{folder}  {figures.size(size)} in {len(files)} files")
    return 0
