# SPDX-License-Identifier: MIT
"""Calls kernels of a shared object on buffers from `malloc`; its own process for sanitized ones.

`python kernel_worker.py LIBRARY` reads pickled tasks on stdin and writes pickled buffers on stdout.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from collections.abc import Sequence
from typing import Any


def run(library: ctypes.CDLL, task: tuple[Any, ...]) -> list[bytes]:
    """Run `(calls, buffers)`, as `kernel_host.plain` makes them; all buffers come back."""
    calls, contents = task
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    places = [libc.malloc(max(len(data), 1)) for data in contents]
    try:
        for place, data in zip(places, contents, strict=True):
            ctypes.memmove(place, data, len(data))
        for function, arguments in calls:
            call = getattr(library, function)
            call.restype = None
            call(*[_value(argument, places) for argument in arguments])
        return [ctypes.string_at(p, len(d)) for p, d in zip(places, contents, strict=True)]
    finally:
        for place in places:
            libc.free(place)


def _value(argument: Sequence[Any], places: Sequence[int]) -> Any:
    kind, value, buffer, offset = argument
    if kind == "float":
        return ctypes.c_float(value)
    if kind == "int":
        return ctypes.c_int32(int(value))
    return ctypes.c_void_p(None if buffer < 0 else places[buffer] + offset)


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(run(library, task), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
