# SPDX-License-Identifier: MIT
"""A residual addition joins the convolution before it, which then writes sums onto the summand.

The convolution's own output, as large as the summand, need not exist, and no element is loaded and
stored once more. What is computed stays the same: first the convolution's int8 output, then the
sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from codegen.ir import Graph, Node
from codegen.kernels import VARIANTS
from codegen.ops import BinaryS8, ConvAddS8, ConvS8
from codegen.target import Target


def fuse_residuals(graph: Graph, target: Target) -> Graph:
    """The graph with every addition fused for which there is a kernel, one after the other."""
    if target.reference_kernels:
        return graph
    for node in graph.nodes:
        if isinstance(node.op, BinaryS8) and node.op.kind == "add":
            graph = _fused(graph, node, node.op, target) or graph
    return graph


def _fused(graph: Graph, sum_: Node, add: BinaryS8, target: Target) -> Graph | None:
    """The graph with one addition less, the later of two convolutions doing it."""
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(graph.outputs)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    depth = _depths(graph)
    for place in sorted((0, 1), key=lambda p: -depth.get(sum_.inputs[p], 0)):
        made, other = sum_.inputs[place], sum_.inputs[1 - place]
        maker = makers.get(made)
        if maker is None or not isinstance(maker.op, ConvS8) or uses[made] != 1:
            continue
        if not _dies(graph, other, maker, sum_):
            continue
        op = ConvAddS8(maker.op, add, 0 if place == 0 else 1)
        inputs = (*maker.inputs, "")[:3]
        origin = (*(maker.origin or (maker.name,)), *(sum_.origin or (sum_.name,)))
        node = Node(maker.name, op, (*inputs, other), sum_.outputs, origin)
        nodes = tuple(node if n is sum_ else n for n in graph.nodes if n is not maker)
        tensors = {name: tensor for name, tensor in graph.tensors.items() if name != made}
        fused = replace(graph, tensors=tensors, nodes=nodes)
        if any(variant.accepts(node, fused, target) for variant in VARIANTS):
            return fused
    return None


def _dies(graph: Graph, name: str, maker: Node, sum_: Node) -> bool:
    """Whether the summand is as large as the sum, in the arena, and read by nothing afterwards."""
    tensors, y = graph.tensors, sum_.outputs[0]
    if tensors[name].data is not None or tensors[name].shape != tensors[y].shape:
        return False
    if tensors[maker.outputs[0]].shape != tensors[y].shape or name == maker.inputs[0]:
        return False
    if name in (*graph.inputs, *graph.outputs) or y in graph.outputs:
        return False
    before = _needed_by(graph, maker)
    return all(node is sum_ or node.name in before for node in graph.nodes if name in node.inputs)


def _needed_by(graph: Graph, last: Node) -> set[str]:
    """The names of all nodes that a node waits for."""
    wanted, found = set(last.inputs), set[str]()
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            found.add(node.name)
            wanted |= set(node.inputs)
    return found


def _depths(graph: Graph) -> Mapping[str, int]:
    """Of each result, how many nodes stand between the graph's inputs and it."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        deepest = max((depth.get(name, 0) for name in node.inputs), default=0)
        depth |= dict.fromkeys(node.outputs, deepest + 1)
    return depth
