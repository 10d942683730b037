# SPDX-License-Identifier: MIT
"""What a kernel variant is: one predicate that selection, scratch size and emission all share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from codegen.ir import Array, Graph, Node
from codegen.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A const array of the layer: becomes `const CTYPE NAME_lNN_SUFFIX[]` in NAME_weights.c, once
    for all layers whose arrays are equal.

    `ctype` is int8_t, uint8_t, int16_t, int32_t, uint32_t or float; `data` is flattened in C order.
    In the body it is spelled `@suffix@`.
    """

    suffix: str
    ctype: str
    data: Array
    align: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The C of one layer.

    `body` is C statements over `x0, x1...` (activation inputs, typed const pointers, in node order,
    constants not counted), `y0...` (outputs) and `scratch` (uint8_t *, 8-aligned; absent if 0
    bytes).
    `headers` are file names in `runtime_c/kernels`. `defines` reach the top of model.c, once each.
    """

    headers: tuple[str, ...]
    constants: tuple[Constant, ...]
    body: str
    defines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overlap:
    """Output `output` may share memory with dying activation input `input`.

    The output may start at any address A such that A <= address(input) - `lead_bytes` (which may
    be negative or zero); "in place" is lead 0 with `exact` True: the same address or disjoint,
    nothing between.
    """

    input: int
    output: int
    lead_bytes: int = 0
    exact: bool = True


class Variant(Protocol):
    """A way to run one lowered operator on one target."""

    @property
    def name(self) -> str:
        """The C kernel's name, `nn_<op>_<type>[_variant]`, as reports show it."""
        ...

    @property
    def manner(self) -> str:
        """How it runs that kernel, where several variants do, as " in 2 bands or more"."""
        ...

    def accepts(self, node: Node, graph: Graph, target: Target) -> bool: ...

    def extra_instructions(self, node: Node, graph: Graph, target: Target) -> int:
        """About how many more than the fastest variant of the same kernel takes."""
        ...

    def held_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        """How much of the scratch is a copy of weights, for cores whose flash is slow."""
        ...

    def scratch_bytes(self, node: Node, graph: Graph, target: Target) -> int: ...

    def overlaps(self, node: Node, graph: Graph, target: Target) -> tuple[Overlap, ...]: ...

    def emit(self, node: Node, graph: Graph, target: Target) -> Call: ...


Region = Literal["sram", "flash"]
