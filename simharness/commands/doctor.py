# SPDX-License-Identifier: MIT
"""`simharness doctor`: what is installed, and what each missing piece would add."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, util

from simharness.commands.talk import Commands, Talk, add_talk_options


@dataclass(frozen=True, slots=True)
class Finding:
    """A piece: its version ("" when missing), what it is for, and the command that gets it."""

    name: str
    version: str
    needed: bool
    purpose: str
    remedy: str


_PACKAGES = (
    ("onnx", True, "reads models", "onnx"),
    ("onnxruntime", True, "is the reference that outputs are checked against", "onnxruntime"),
    ("unicorn", True, "emulates the cores", "unicorn"),
    ("capstone", True, "decodes instructions for the timing models", "capstone"),
    ("numpy", True, "computes", "numpy"),
    ("ziglang", False, "cross-compiles without any other install", "ziglang"),
    ("pytest", False, "runs the tests", "pytest pytest-xdist hypothesis"),
    ("ortools", False, "proves memory plans optimal in the tests", "ortools"),
    ("pyocd", False, "runs programs on real boards", "pyocd"),
)
_PROGRAMS = (
    ("arm-none-eabi-gcc", "cross-compiles as vendors do; published figures use it",
     "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("qemu-system-arm", "is a second emulator (--engine qemu)", "apt-get install qemu-system-arm"),
    ("renode", "is a third emulator (--engine renode)",
     "install Renode 1.15 or newer (github.com/renode/renode/releases), or set SIMHARNESS_RENODE"),
)  # fmt: skip


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is installed and what is missing",
        description="Say what is installed, what each missing piece would add, and how to get it. "
        "Exits with 3 when something is missing that every command needs, or the one that is "
        "given: 'simharness doctor run --engine renode', 'simharness doctor crosscheck'.",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_talk_options(parser)
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="a command to be checked for"
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Print the findings."""
    found = [*findings(), *asked(arguments.words)]
    if arguments.format == "json":
        print(json.dumps([asdict(f) for f in found], indent=2))
    else:
        for f in found:
            mark = "ok     " if f.version else "MISSING" if f.needed else "absent "
            print(f"{mark}  {f.name:18} {f.version or f.remedy}")
            if not f.version:
                print(f"{'':9}{'':18} it {f.purpose}")
    return 3 if any(f.needed and not f.version for f in found) else 0


def findings() -> Iterator[Finding]:
    """Every piece, found or not."""
    yield Finding("python", platform.python_version(), True, "runs everything", "")
    pip = f"{sys.executable.rsplit('/', 1)[-1]} -m pip install"
    for package, needed, purpose, names in _PACKAGES:
        yield Finding(package, _package(package), needed, purpose, f"{pip} {names}")
    for program, purpose, remedy in _PROGRAMS:
        yield Finding(program, _program(program), False, purpose, remedy)
    compilers = _program("arm-none-eabi-gcc") or _package("ziglang") or _program("zig", "version")
    yield Finding(
        "cross-compiler", "found" if compilers else "", True,
        "turns the generated C into machine code", f"{pip} ziglang",
    )  # fmt: skip
    yield Finding(
        "native counter", _counter(), False,
        "counts 8 to 30 times faster than Python; the figures are the same", f"{pip} ziglang",
    )  # fmt: skip


def asked(words: Sequence[str]) -> Iterator[Finding]:
    """What a command line needs beyond what all need: its engines, its server, its compiler.

    Raises UsageError for an engine that nobody knows.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--target")
    parser.add_argument("--toolchain")
    given, _ = parser.parse_known_args(words)
    names = [*given.engine, *([f"gdb:{given.target}"] if given.target else [])]
    for name in names:
        yield _engine(name)
    if words and words[0] == "crosscheck" and not names:
        others = [_engine(name) for name in ("qemu", "renode")]
        present = " and ".join(f"{f.name} {f.version}" for f in others if f.version)
        yield Finding(
            "second emulator", present, True, "is what crosscheck compares with", others[0].remedy
        )
    if given.toolchain == "gcc":
        name, purpose, remedy = _PROGRAMS[0]
        yield Finding(name, _program(name), True, purpose, remedy)


def _engine(name: str) -> Finding:
    from simharness import engines

    engine = engines.engine(name)
    absent = engine.missing()
    version = "" if absent else engine.describe().version
    remedy = f"{absent.what}; {absent.remedy}" if absent else ""
    return Finding(f"engine {engine.name}", version, True, "was asked for", remedy)


def _package(name: str) -> str:
    if util.find_spec(name) is None:
        return ""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "installed"


def _program(name: str, ask: str = "--version") -> str:
    path = shutil.which(os.environ.get("SIMHARNESS_RENODE", name) if name == "renode" else name)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, ask], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "installed"


def _counter() -> str:
    try:
        from simharness import native
    except ImportError:
        return ""
    return "works" if native.load() is not None else ""
