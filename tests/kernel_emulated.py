# SPDX-License-Identifier: MIT
"""Kernels compiled for an emulated core: `emulated("m0plus")` gives a runner of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from kernel_call import REFERENCE_HEADERS, Argument, Task
from kernel_host import library_source

from codegen.ir import Array
from simharness.machine import Machine


@dataclass(frozen=True, slots=True)
class Emulated:
    """Kernels on an emulated core; arrays stand between red zones, inputs must stay as they are."""

    machine: Machine

    def run(self, task: Task) -> list[bytes]:
        """Run the calls; all buffers come back."""
        buffers = [np.frombuffer(bytearray(data), np.uint8) for data in task.buffers]
        for buffer, writable in zip(buffers, task.writable, strict=True):
            buffer.flags.writeable = writable
        for call in task.calls:
            arguments = [_value(argument, buffers) for argument in call.arguments]
            self.machine.call(call.function, *arguments, returns=None)
        return [buffer.tobytes() for buffer in buffers]


def _value(argument: Argument, buffers: list[Array]) -> Array | float | int:
    if argument.kind == "pointer":
        return buffers[argument.buffer][argument.offset :] if argument.buffer >= 0 else 0
    return float(argument.value) if argument.kind == "float" else int(argument.value)


@cache
def emulated(core: str, headers: tuple[str, ...] = REFERENCE_HEADERS) -> Emulated:
    """Kernels for this core, with whatever cross-compiler is here."""
    return Emulated(Machine(core, {"kernels.c": library_source(headers)}, optimize="balanced"))
