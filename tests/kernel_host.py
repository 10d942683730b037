# SPDX-License-Identifier: MIT
"""Kernels compiled for this host, plain or sanitized: `host(...)` gives a runner of tasks."""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import kernel_worker
from kernel_call import REFERENCE_HEADERS, Task

import runtime_c
from simharness.toolchain.compilers import environment, zig_command

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow")
_SANITIZE = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
)


class KernelError(Exception):
    """A sanitizer stopped a kernel; the message is its report."""


def host_compiler() -> tuple[str, ...]:
    """gcc, clang or zig, the first that is here."""
    for name in ("gcc", "clang"):
        if shutil.which(name):
            return (name,)
    zig = zig_command()
    if zig is None:
        raise RuntimeError("no host compiler: install gcc, or `pip install ziglang`")
    return zig


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def compile_shared(source: str, *flags: str, compiler: tuple[str, ...] = ()) -> Path:
    """A shared object of C text; raises CalledProcessError with the compiler's words on stderr."""
    number = len(list(_folder().iterdir()))
    path = _folder() / f"k{number}.c"
    path.write_text(source)
    output = path.with_suffix(".so")
    command = (
        *(compiler or host_compiler()), *WARNINGS, "-O2", "-ffreestanding", "-ffp-contract=off",
        "-fPIC", "-shared", f"-I{runtime_c.kernel_dir()}", *flags, str(path), "-o", str(output),
    )  # fmt: skip
    subprocess.run(command, check=True, env=environment())
    return output


def compile_sanitized(source: str, *flags: str) -> Path:
    """The same with ASan and UBSan; needs gcc."""
    return compile_shared(source, *_SANITIZE, *flags, compiler=("gcc",))


def library_source(headers: tuple[str, ...] = REFERENCE_HEADERS) -> str:
    """All kernels in one translation unit with external linkage."""
    return "#define NN_EXTERN\n" + "".join(f'#include "{name}"\n' for name in headers)


def plain(task: Task) -> tuple[object, ...]:
    """The task as tuples, for a worker that knows no types of ours."""
    calls = [
        (c.function, [(a.kind, a.value, a.buffer, a.offset) for a in c.arguments])
        for c in task.calls
    ]
    return calls, list(task.buffers)


@dataclass(frozen=True, slots=True)
class Host:
    """Kernels in this process."""

    library: ctypes.CDLL

    def run(self, task: Task) -> list[bytes]:
        return kernel_worker.run(self.library, plain(task))


class SanitizedHost:
    """Kernels under ASan and UBSan in a process of their own; buffers stand between red zones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, task: Task) -> list[bytes]:
        """The buffers afterwards. Raises KernelError with the sanitizer's report."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            pickle.dump(plain(task), process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)  # type: ignore[no-any-return]
        except (EOFError, BrokenPipeError):
            self.close()
            raise KernelError((_folder() / "sanitizer.txt").read_text()) from None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        runtime = subprocess.run(
            ("gcc", "-print-file-name=libasan.so"), capture_output=True, text=True, check=True
        ).stdout.strip()
        with (_folder() / "sanitizer.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                (sys.executable, str(Path(kernel_worker.__file__)), str(self._path)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={
                    **os.environ,
                    "LD_PRELOAD": runtime,
                    "ASAN_OPTIONS": "detect_leaks=0",
                    "UBSAN_OPTIONS": "print_stacktrace=0",
                },
            )
        atexit.register(self.close)
        return self._process


@cache
def host(*flags: str, headers: tuple[str, ...] = REFERENCE_HEADERS) -> Host:
    """Kernels for this host with these extra flags, such as -DNN_REQUANT_INTEGER."""
    return Host(ctypes.CDLL(str(compile_shared(library_source(headers), *flags))))


@cache
def sanitized_host(*flags: str, headers: tuple[str, ...] = REFERENCE_HEADERS) -> SanitizedHost:
    """The same under ASan and UBSan; needs gcc."""
    return SanitizedHost(compile_sanitized(library_source(headers), *flags))
