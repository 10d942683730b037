# SPDX-License-Identifier: MIT
"""Builds and loads host libraries: by the host's `cc`, else by ziglang, into the cache, once.

Where the counter cannot be built `load` returns None and `reason()` says why; the pure Python one
does the same work more slowly.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_int, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from simharness import cache as user_cache
from simharness.errors import ToolMissingError
from simharness.toolchain import compilers

_HERE = Path(__file__).parent
_REMEDY = f"install one with: {Path(sys.executable).name} -m pip install ziglang"
_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
_VERSION = 5


class State(Structure):
    """`sim_state` of count.c: what is read and written between calls."""

    _fields_ = (
        ("left", c_int64),
        ("exhausted", c_uint32),
        ("bucket", c_uint32),
        ("stray", c_uint32),
        ("stray_pc", c_uint32),
        ("unaligned", c_uint32),
        ("unaligned_pc", c_uint32),
        ("base", c_uint32),
        ("out_of_memory", c_uint32),
    )


@cache
def load() -> ctypes.CDLL | None:
    """The counter, built when it is not in the cache yet; None when it cannot be built here."""
    return _load()[0]


def reason() -> str:
    """Why `load` returned None; empty when it did not."""
    return _load()[1]


def build(source: str, *, defines: Sequence[str] = (), include: Path | None = None) -> Path:
    """The shared library made of a C file of this folder, from the cache where possible.

    It may include its neighbours and the files in the folder `include`.
    Raises ToolMissingError when no host compiler is installed, or none can build it.
    """
    flags = (*_FLAGS, *(f"-D{d}" for d in defines))
    folders = (_HERE.joinpath(source).parent, *((include,) if include else ()))
    parts = [p for f in folders for p in sorted(f.iterdir()) if p.suffix in (".c", ".h")]
    text = b"".join(p.read_bytes() for p in parts)
    libc = platform.libc_ver()[0]
    name = user_cache.key(text, Path(source).name, *flags, sys.platform, platform.machine(), libc)
    path = user_cache.folder() / "native" / f"{name}.so"
    if path.exists():
        return path
    reasons = []
    for command in _host_compilers():
        try:
            seen = (*flags, f"-I{include}") if include else flags
            user_cache.write_atomic(path, _compile(command, source, seen))
            return path
        except (OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{Path(command[0]).name}: {error}")
    why = "; ".join(reasons) or "neither cc nor ziglang is installed"
    raise ToolMissingError(f"{source} cannot be built: {why}; {_REMEDY}")


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    try:
        path = build("count.c")
        library = _open(path)
        if library is None:  # damaged, or for another machine that shares the cache
            path.unlink(missing_ok=True)
            library = _open(build("count.c"))
    except (ToolMissingError, OSError) as error:
        return None, str(error)
    return library, "" if library else "the library that was built does not load"


def _host_compilers() -> tuple[tuple[str, ...], ...]:
    host = shutil.which("cc")
    zig = compilers.zig_command()
    return tuple(c for c in ((host,) if host else None, zig) if c)


def _compile(command: tuple[str, ...], source: str, flags: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="simharness-") as folder:
        output = Path(folder) / "native.so"
        subprocess.run(
            (*command, *flags, str(_HERE / source), "-o", str(output)),
            check=True, capture_output=True, env=compilers.environment(), cwd=folder, timeout=120,
        )  # fmt: skip
        return output.read_bytes()


def _open(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        library.sim_version.restype = c_uint32
        if library.sim_version() != _VERSION:
            return None
    except (OSError, AttributeError):
        return None
    words = POINTER(c_uint32)
    library.sim_new.argtypes = (
        c_uint32, words, words, c_uint32, words, c_void_p, c_void_p, c_void_p,
    )  # fmt: skip
    library.sim_new.restype = c_void_p
    library.sim_free.argtypes = (c_void_p,)
    library.sim_free.restype = None
    library.sim_capture.argtypes = (c_void_p, c_uint32, c_void_p, c_void_p, c_uint32)
    library.sim_capture.restype = c_int
    library.sim_watch.argtypes = (c_void_p, c_uint32, c_uint32)
    library.sim_watch.restype = c_int
    library.sim_reset.argtypes = (c_void_p,)
    library.sim_reset.restype = None
    library.sim_finish.argtypes = (c_void_p,)
    library.sim_finish.restype = c_uint64
    library.sim_records.argtypes = (c_void_p,)
    library.sim_records.restype = c_void_p
    return library
