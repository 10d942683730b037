# SPDX-License-Identifier: MIT
"""The generated program as a value: layers in order, each with every pointer that it is given.

`Sources` are a rendering of it; the checker reads it instead of the planner's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.ir import Array, DType
from codegen.kernels.base import Overlap

Sources = Mapping[str, str]
"""Text by file name."""

CTYPES: Mapping[DType, str] = {
    "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "int64": "int64_t",
    "float32": "float", "bool": "uint8_t",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Argument:
    """A pointer that a layer is called with: `size_bytes` at `offset` in `memory`.

    `name` is the C parameter (x0, y0, scratch), `tensor` whose bytes they are ("" for scratch).
    `memory` is "arena" (or one of several: see `Arena`), "input0", "output0"...
    """

    name: str
    ctype: str
    tensor: str
    memory: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer function and its one call. `symbol` is its C name, `op` the lowered operator's.

    `origin` are names of ONNX nodes; `overlaps` what the kernel allows; `notes` the lines of its
    comment.
    """

    symbol: str
    node: str
    op: str
    kernel: str
    origin: tuple[str, ...]
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    scratch: Argument | None
    overlaps: tuple[Overlap, ...]
    body: str
    notes: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """All pointers in the order of the call."""
        return (*self.inputs, *self.outputs, *((self.scratch,) if self.scratch else ()))


@dataclass(frozen=True, slots=True)
class Arena:
    """Working memory of the program: `memory` is "arena", or "arena_NAME" for each of several."""

    memory: str
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A const array in flash. `users` are the indices of the layers that read it."""

    symbol: str
    ctype: str
    data: Array
    align: int
    users: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        item_bytes = {"int8_t": 1, "uint8_t": 1, "int16_t": 2}.get(self.ctype, 4)
        return item_bytes * int(self.data.size)


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model. `scale` is None for a tensor that is not quantized."""

    tensor: str
    ctype: str
    shape: tuple[int, ...]
    count: int
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that the generated C says. `name` is a C identifier."""

    name: str
    layers: tuple[Layer, ...]
    tables: tuple[Table, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    headers: tuple[str, ...]
    defines: tuple[str, ...]
    arenas: tuple[Arena, ...]
    arena_align: int = 8

    @property
    def arena_bytes(self) -> int:
        """All working memory."""
        return sum(arena.size_bytes for arena in self.arenas)
