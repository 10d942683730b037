# SPDX-License-Identifier: MIT
"""The graph that every stage of code generation reads and returns; nothing here is mutable.

Two dialects share these types.
`codegen.load` gives the ONNX dialect: every node's `op` is an `OnnxOp`, shapes are the file's.
`codegen.passes.lower` gives the lowered dialect: every `op` is one of `codegen.ops`, activations
are NHWC (or dense row-major of any rank), uint8 has become int8, and `Tensor.shape` is the memory
order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from codegen.ops import Op

DType = Literal["int8", "uint8", "int32", "int64", "float32", "bool"]
ITEM_BYTES: Mapping[DType, int] = {
    "int8": 1, "uint8": 1, "int32": 4, "int64": 8, "float32": 4, "bool": 1,
}  # fmt: skip

Array = npt.NDArray[np.generic]
F32 = npt.NDArray[np.float32]
I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Quant:
    """Affine quantization: `real = (q - zero_point) * scale`.

    `scale` is float32 of shape () or (C,); `zero_point` has the same shape; `axis` is None per
    tensor.
    """

    scale: F32
    zero_point: I32
    axis: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value: constant when `data` is given, else an activation.

    `name` comes from an untrusted file: it never reaches C, a path or a shell unescaped.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    data: Array | None = None
    quant: Quant | None = None

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxOp:
    """A node as the file has it: `type` in `domain` at `opset`, with plain Python attributes."""

    type: str
    attrs: Mapping[str, object] = field(default_factory=dict)
    domain: str = ""
    opset: int = 13


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """`outputs = op(inputs)`; tensor names; an absent optional input is the empty string.

    `origin` lists the names of the ONNX nodes that this node came from, for messages and profiles.
    """

    name: str
    op: OnnxOp | Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    origin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in topological order over named tensors."""

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def constant(self, name: str) -> Array | None:
        """The value of a constant tensor, or None for an activation or an absent input."""
        return self.tensors[name].data if name else None
