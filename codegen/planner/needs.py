# SPDX-License-Identifier: MIT
"""What the planner must know of each node's kernel: its scratch, and what it may overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.ir import Graph, Node
from codegen.kernels.base import Overlap, Variant
from codegen.target import Target


@dataclass(frozen=True, slots=True)
class Need:
    """Scratch bytes of one node, and which of its outputs may lie on which of its inputs."""

    scratch_bytes: int = 0
    overlaps: tuple[Overlap, ...] = ()


NOTHING = Need()
"""Of a node without a kernel: a view."""


def needs(graph: Graph, selection: Sequence[Variant | None], target: Target) -> tuple[Need, ...]:
    """The need of each node of `graph`, asked of its variant once."""
    return tuple(
        NOTHING
        if variant is None
        else Need(
            variant.scratch_bytes(node, graph, target),
            tuple(variant.overlaps(node, graph, target)),
        )
        for node, variant in zip(graph.nodes, selection, strict=True)
    )


def activation_inputs(node: Node, graph: Graph) -> tuple[str, ...]:
    """The names of the inputs that become x0, x1... in C."""
    return tuple(name for name in node.inputs if name and graph.tensors[name].data is None)
