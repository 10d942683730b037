# SPDX-License-Identifier: MIT
"""Generated programs compiled and run on this host."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from kernel_host import WARNINGS, host_compiler

from codegen.build import Compiled
from codegen.emit import Sources
from codegen.ir import Array

_DTYPES = {"int8_t": np.int8, "uint8_t": np.uint8, "float": np.float32, "int32_t": np.int32}


def write(sources: Sources, folder: Path) -> list[Path]:
    """Write the files; the .c ones among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    return sorted(folder.glob("*.c"))


def compile_program(sources: Sources, folder: Path, *flags: str, cc: Sequence[str] = ()) -> Path:
    """A shared object of the program, compiled with every warning as an error."""
    files = write(sources, folder)
    library = folder / "program.so"
    command = [*(cc or host_compiler()), *WARNINGS, "-O1", "-fPIC", "-shared", *flags]
    done = subprocess.run(
        [*command, "-o", str(library), *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return library


def run_program(compiled: Compiled, folder: Path, inputs: Sequence[Array]) -> list[Array]:
    """Compile, initialise and run once; the outputs in order."""
    library = ctypes.CDLL(str(compile_program(compiled.sources, folder)))
    program = compiled.program
    outputs = [np.full(port.shape, 77, _DTYPES[port.ctype]) for port in program.outputs]
    arguments = [a.ctypes.data_as(ctypes.c_void_p) for a in (*inputs, *outputs)]
    assert getattr(library, f"{program.name}_init")() == 0
    assert getattr(library, f"{program.name}_run")(*arguments) == 0
    return list(outputs)
