# SPDX-License-Identifier: MIT
"""The plain C variants: every node of their operator, any target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from codegen.ir import Array, Graph, Node, Tensor
from codegen.kernels.base import Call, Constant, Overlap
from codegen.target import Target


@dataclass(frozen=True, slots=True)
class Reference:
    """A `Variant` made of two functions: which nodes it takes, and the C that it writes.

    `in_place`: every output element depends only on the input elements at the same index.
    `nearest` says how else the output may overlap the input; `scratch` how many bytes it needs.
    """

    name: str
    takes: Callable[[Node, Graph], bool]
    write: Callable[[Node, Graph], Call]
    in_place: bool = False
    nearest: Callable[[Node, Graph], tuple[Overlap, ...]] | None = None
    scratch: Callable[[Node, Graph], int] | None = None
    manner: str = ""

    def accepts(self, node: Node, graph: Graph, target: Target) -> bool:
        return self.takes(node, graph)

    def scratch_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return self.scratch(node, graph) if self.scratch is not None else 0

    def overlaps(self, node: Node, graph: Graph, target: Target) -> tuple[Overlap, ...]:
        if self.nearest is not None:
            return self.nearest(node, graph)
        if not self.in_place:
            return ()
        size_bytes = graph.tensors[node.outputs[0]].size_bytes
        return tuple(
            Overlap(input=i, output=0)
            for i, x in enumerate(activations(node, graph))
            if x.size_bytes == size_bytes
        )

    def extra_instructions(self, node: Node, graph: Graph, target: Target) -> int:
        return 0

    def held_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return 0

    def emit(self, node: Node, graph: Graph, target: Target) -> Call:
        return self.write(node, graph)


T = TypeVar("T")


def is_op(*kinds: type) -> Callable[[Node, Graph], bool]:
    """The predicate of a variant that takes every node of these operators."""
    return lambda node, graph: isinstance(node.op, kinds)


def op_of(node: Node, kind: type[T]) -> T:
    """The node's operator, known to be of this kind because the variant accepted it."""
    if not isinstance(node.op, kind):
        raise TypeError(
            f"{node.name}: a {kind.__name__} kernel was given a {type(node.op).__name__}"
        )
    return node.op


def activations(node: Node, graph: Graph) -> tuple[Tensor, ...]:
    """The inputs that become x0, x1... in C: neither constant nor absent."""
    tensors = (graph.tensors[name] for name in node.inputs if name)
    return tuple(t for t in tensors if t.data is None)


def in_and_out(node: Node, graph: Graph) -> tuple[Tensor, Tensor]:
    """Input 0 and output 0."""
    return graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]


def constant_input(node: Node, graph: Graph, index: int) -> Array | None:
    """The value of a constant input, None when it is absent."""
    return graph.constant(node.inputs[index]) if index < len(node.inputs) else None


def file_origin(unsigned: bool) -> int:
    """What to add to an int8 for the integer that the file has: float32 rounds where that lies."""
    return 128 if unsigned else 0


def optional(suffix: str, ctype: str, data: Array | None) -> tuple[tuple[Constant, ...], str]:
    """The constant and its spelling in the body; no constant and NULL when there are no data."""
    if data is None:
        return (), "NULL"
    return (Constant(suffix, ctype, np.asarray(data)),), f"@{suffix}@"
