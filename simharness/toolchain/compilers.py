# SPDX-License-Identifier: MIT
"""The cross-compilers: where they are, which version, and the flags for each core."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from codegen.target import Optimize
from simharness import cache as user_cache
from simharness.errors import BuildError, ToolMissingError, UsageError

ToolchainName = Literal["auto", "gcc", "zig"]
NAMES: tuple[ToolchainName, ...] = ("auto", "gcc", "zig")

_GCC = "arm-none-eabi-gcc"
_GCC_REMEDY = (
    "apt-get install gcc-arm-none-eabi   (macOS: brew install --cask gcc-arm-embedded), "
    "or --toolchain zig"
)
_ZIG_REMEDY = f"{Path(sys.executable).name} -m pip install ziglang"

_GCC_CORE: Mapping[str, tuple[str, ...]] = {
    "m0plus": ("-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"),
    "m3": ("-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"),
    "m4": ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "m7": ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    "m33": ("-mcpu=cortex-m33", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
}

# The FPU is off by default in clang's view of these cores, even with eabihf.
_ZIG_CORE: Mapping[str, tuple[str, ...]] = {
    "m0plus": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
    "m3": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m3"),
    "m4": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
    "m7": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16"),
    "m33": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m33+fp_armv8d16sp"),
}

_OPTIMIZE: Mapping[Optimize, str] = {"speed": "-O3", "balanced": "-O2", "size": "-Os"}

# Contraction to fused multiply-add would make float results depend on the compiler.
_COMMON = (
    "-std=c99",
    "-ffreestanding",
    "-ffp-contract=off",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
)

# zig strips symbols at -Os unless debug information is asked for, and adds unwind tables unasked.
_ZIG_EXTRA = (
    "-g",
    "-fdebug-compilation-dir=.",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)

# memory.c defines memcpy: its loops must not be turned into calls of memcpy.
FIRMWARE_FLAGS: Mapping[str, tuple[str, ...]] = {
    "gcc": ("-fno-builtin", "-fno-tree-loop-distribute-patterns"),
    "zig": ("-fno-builtin",),
}


@dataclass(frozen=True, slots=True)
class Compiler:
    """An installed compiler: `command` starts it, `version` is the first line it says of itself."""

    name: Literal["gcc", "zig"]
    command: tuple[str, ...]
    version: str


def find(name: str = "auto") -> Compiler:
    """The compiler of that name; `auto` is gcc where it is installed, else zig.

    Raises UsageError for an unknown name, ToolMissingError (with the installing command) otherwise.
    """
    if name not in NAMES:
        raise UsageError(f"unknown toolchain {name!r}; known are {', '.join(NAMES)}")
    gcc = shutil.which(_GCC) if name != "zig" else None
    if gcc:
        return Compiler("gcc", (gcc,), _version(gcc))
    if name == "gcc":
        raise ToolMissingError(f"{_GCC} is not installed; install it with: {_GCC_REMEDY}")
    zig = _zig_path()
    if zig is None:
        raise ToolMissingError(f"no cross-compiler is installed; install one with: {_ZIG_REMEDY}")
    # Without a target, zig would look for the host's C library first, and may fail over it.
    clang = _version(zig, "cc", "-target", "thumb-freestanding-eabi")
    return Compiler("zig", (zig, "cc"), f"zig {_version(zig, 'version')}, {clang}")


def zig_command() -> tuple[str, ...] | None:
    """How to start zig as a C compiler, or None; it can build for the host, too."""
    zig = _zig_path()
    return (zig, "cc") if zig else None


def compile_flags(compiler: Compiler, core: str, optimize: Optimize) -> tuple[str, ...]:
    """Flags that turn a source into an object. Raises UsageError for an unknown core."""
    per_core = _GCC_CORE if compiler.name == "gcc" else _ZIG_CORE
    if core not in per_core:
        raise UsageError(f"unknown core {core!r}; known are {', '.join(per_core)}")
    extra = () if compiler.name == "gcc" else _ZIG_EXTRA
    return (*per_core[core], _OPTIMIZE[optimize], *_COMMON, *extra)


def link_flags(compiler: Compiler, *, keep_all: bool) -> tuple[str, ...]:
    """Flags that make the ELF; the script is `link.ld`."""
    gc = "-Wl,--no-gc-sections" if keep_all else "-Wl,--gc-sections"
    flags = ("-Wl,-T,link.ld", "-Wl,-e,sim_reset", gc)
    if compiler.name == "gcc":
        return ("-nostdlib", *flags, "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments")
    return (*flags, "-Wl,--build-id=none")


def link_machine(compiler: Compiler, flags: Sequence[str]) -> tuple[str, ...]:
    """Those compile flags that choose the core and so the compiler's own library."""
    chosen = tuple(flags[: flags.index(_COMMON[0])])
    return chosen if compiler.name == "gcc" else (*chosen, "-g")


def libraries(compiler: Compiler) -> tuple[str, ...]:
    """The compiler's own helpers (division, soft float); zig adds its own unasked."""
    return ("-lgcc",) if compiler.name == "gcc" else ()


def run(command: Sequence[str], folder: Path) -> None:
    """Run a compiler in `folder`. Raises BuildError with what it said."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise BuildError(f"{Path(command[0]).name} refused the source:\n{_first_lines(said)}")


def environment() -> dict[str, str]:
    """The environment for compilers: no locale, zig's cache inside ours."""
    zig_cache = str(user_cache.folder() / "zig")
    return {
        **os.environ,
        "LC_ALL": "C",
        "ZIG_GLOBAL_CACHE_DIR": zig_cache,
        "ZIG_LOCAL_CACHE_DIR": zig_cache,
    }


def _zig_path() -> str | None:
    spec = importlib.util.find_spec("ziglang")
    for place in spec.submodule_search_locations or () if spec else ():
        found = shutil.which("zig", path=place)
        if found:
            return found
    return shutil.which("zig")


@cache
def _version(program: str, *mode: str) -> str:
    arguments = mode if mode == ("version",) else (*mode, "--version")
    done = subprocess.run(
        (program, *arguments), env=environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise ToolMissingError(
            f"{Path(program).name} is installed but does not start: {_first_lines(done.stderr)}"
        )
    return done.stdout.splitlines()[0].strip()


def _first_lines(text: str, limit: int = 40) -> str:
    lines = text.splitlines()
    rest = f"\n... and {len(lines) - limit} lines more" if len(lines) > limit else ""
    return "\n".join(lines[:limit]) + rest
