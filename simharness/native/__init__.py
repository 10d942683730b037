# SPDX-License-Identifier: MIT
"""Builds and loads the native callback: by the host's `cc`, else by ziglang, into the cache, once.

Where neither exists `load` returns None and says why in `reason()`; the pure Python counter then
does the same work more slowly.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from ctypes import POINTER, Structure, c_int, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from simharness import cache as user_cache
from simharness.toolchain import compilers

_SOURCE = Path(__file__).with_name("count.c")
_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
_VERSION = 1


class State(Structure):
    """`sim_state` of count.c: what is read and written between calls."""

    _fields_ = (
        ("budget", c_uint64),
        ("executed", c_uint64),
        ("exhausted", c_uint32),
        ("bucket", c_uint32),
        ("stray", c_uint32),
        ("stray_pc", c_uint32),
        ("out_of_memory", c_uint32),
        ("last_pc", c_uint32),
    )


@cache
def load() -> ctypes.CDLL | None:
    """The library, built when it is not in the cache yet; None when no compiler can build it."""
    library, _ = _load()
    return library


def reason() -> str:
    """Why `load` returned None; empty when it did not."""
    return _load()[1]


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    source = _SOURCE.read_bytes()
    name = user_cache.key(source, *_FLAGS, sys.platform, platform.machine(), platform.libc_ver()[0])
    path = user_cache.folder() / "native" / f"{name}.so"
    library = _open(path)
    if library is not None:
        return library, ""
    reasons = []
    for command in _host_compilers():
        try:
            data = _build(command)
        except (OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{Path(command[0]).name} cannot build the native counter: {error}")
            continue
        try:
            user_cache.write_atomic(path, data)
        except OSError as error:
            return None, f"the cache folder {path.parent} cannot be written: {error}"
        library = _open(path)
        if library is not None:
            return library, ""
        reasons.append(f"{Path(command[0]).name} built a library that does not load")
    return None, "; ".join(reasons) or "neither cc nor ziglang is installed"


def _host_compilers() -> tuple[tuple[str, ...], ...]:
    host = shutil.which("cc")
    zig = compilers.zig_command()
    return tuple(c for c in ((host,) if host else None, zig) if c)


def _build(command: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="simharness-") as folder:
        output = Path(folder) / "count.so"
        subprocess.run(
            (*command, *_FLAGS, str(_SOURCE), "-o", str(output)),
            check=True, capture_output=True, env=compilers.environment(), cwd=folder, timeout=120,
        )  # fmt: skip
        return output.read_bytes()


def _open(path: Path) -> ctypes.CDLL | None:
    if not path.exists():
        return None
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
    library.sim_reset.argtypes = (c_void_p,)
    library.sim_reset.restype = None
    library.sim_finish.argtypes = (c_void_p,)
    library.sim_finish.restype = c_uint64
    library.sim_records.argtypes = (c_void_p,)
    library.sim_records.restype = c_void_p
    os.utime(path)
    return library
