# SPDX-License-Identifier: MIT
"""`simharness crosscheck`: do independent emulators agree?"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from simharness.commands.options import positive
from simharness.commands.talk import Commands, Talk, add_talk_options

if TYPE_CHECKING:
    from simharness.crosscheck import Crosscheck


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "crosscheck",
        help="run a network on every installed emulator and compare",
        description="Run MODEL on every installed emulator. Outputs must be equal to the byte and "
        "instruction counts equal, in all and by layer; exits with 1 where they are not.",
    )
    parser.add_argument("model", metavar="MODEL", help="an .onnx file, or zoo:NAME")
    parser.add_argument(
        "--core", action="append", metavar="NAME", help="may be given several times (default: m4)"
    )
    parser.add_argument("--board", metavar="NAME|FILE.toml", help="instead of --core")
    parser.add_argument(
        "--engine", action="append", default=[], metavar="NAME",
        help="ask this engine, which must be installed; give two or more (default: all there are)",
    )  # fmt: skip
    parser.add_argument("--samples", type=positive, default=2, metavar="N", help="default: 2")
    parser.add_argument("--seed", type=int, default=0, help="of the random samples (default: 0)")
    parser.add_argument("--toolchain", choices=("auto", "gcc", "zig"), default="auto")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Compare core by core; 1 when any two engines disagree."""
    found = []
    with talk.progress(4) as progress:
        progress("starting")
        from simharness.crosscheck import crosscheck

        for core in arguments.core or [None]:
            found.append(
                crosscheck(
                    arguments.model,
                    core,
                    board=arguments.board,
                    names=arguments.engine,
                    toolchain=arguments.toolchain,
                    samples=arguments.samples,
                    seed=arguments.seed,
                    progress=progress,
                )
            )
    if arguments.format == "json":
        print(json.dumps([_plain(f) for f in found], indent=2))
    else:
        print("\n".join(line for f in found for line in _lines(f)))
    for text in dict.fromkeys(text for f in found for text in f.absent):
        talk.say(f"not asked: {text}")
    return 0 if all(f.ok for f in found) else 1


def _lines(found: Crosscheck) -> list[str]:
    lines = [f"{found.model} on {found.core}, {found.samples} samples"]
    for o in found.opinions:
        counted = "-" if o.instructions is None else f"{o.instructions:,}"
        lines.append(f"  {o.engine.name:8} {counted:>15} instructions   {o.engine.version}")
    lines += [f"  DIFFERS  {text}" for text in found.disagreements]
    return [*lines, *(["  all agree"] if found.ok else [])]


def _plain(found: Crosscheck) -> dict[str, object]:
    return {
        "model": found.model,
        "core": found.core,
        "ok": found.ok,
        "samples": found.samples,
        "engines": [
            {**asdict(o.engine), "instructions": o.instructions, "layers": dict(o.layers)}
            for o in found.opinions
        ],
        "disagreements": list(found.disagreements),
        "absent": list(found.absent),
    }
