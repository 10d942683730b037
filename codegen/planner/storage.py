# SPDX-License-Identifier: MIT
"""Which tensors are pieces of which storage: views, and joins and cuts that need no code.

A storage is a run of bytes that belongs to the arena or to the caller. A `View` is the whole of its
input's storage; a `Slice` without gaps is a piece of it; the inputs of a `Concat` along the
outermost axis are pieces of its output. The last two are a choice (`elided`): they save code and
time, and may cost memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from codegen.ir import ITEM_BYTES, Graph, Node
from codegen.ops import Concat, Slice, View

ALIGN = 4
"""Of every tensor in the arena, so that kernels may read words."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of a tensor: `offset` into the storage named after tensor `root`."""

    root: str
    offset: int


@dataclass(frozen=True, slots=True)
class Storages:
    """The piece of every activation, and of each root its owner: arena, inputN or outputN."""

    pieces: Mapping[str, Piece]
    owners: Mapping[str, str]
    elided: frozenset[int]


def view_offset(node: Node, graph: Graph) -> int | None:
    """Where in its input a `Slice` without gaps starts, in bytes; None for one with gaps."""
    op = node.op
    if not isinstance(op, Slice):
        return None
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    innermost_cut = max((a for a, extent in enumerate(y.shape) if extent != x.shape[a]), default=0)
    if any(extent != 1 for extent in y.shape[:innermost_cut]):
        return None
    if any(step != 1 and extent > 1 for step, extent in zip(op.steps, y.shape, strict=True)):
        return None
    steps = (prod(x.shape[axis + 1 :]) for axis in range(len(x.shape)))
    return sum(a * b for a, b in zip(op.starts, steps, strict=True)) * ITEM_BYTES[x.dtype]


def join_offsets(node: Node, graph: Graph) -> tuple[int, ...] | None:
    """Where in its output each input of a `Concat` lies, in bytes; None when they interleave."""
    op = node.op
    if not isinstance(op, Concat) or prod(graph.tensors[node.outputs[0]].shape[: op.axis]) != 1:
        return None
    offsets, at = [], 0
    for name in node.inputs:
        offsets.append(at)
        at += graph.tensors[name].size_bytes
    return tuple(offsets)


def storages(graph: Graph, wanted: frozenset[int]) -> Storages:
    """Resolve views, and those of the nodes in `wanted` that can be elided.

    Every `View` must be resolvable: `codegen.planner.materialize` has seen to it.
    """
    pieces = {name: Piece(name, 0) for name in _activations(graph)}
    owners = dict.fromkeys(pieces, "arena")
    owners |= {name: f"input{i}" for i, name in enumerate(graph.inputs)}
    # Forwards: views and slices are pieces of what they look at.
    elided: set[int] = set()
    outward = _seen_from_outside(graph)
    for index, node in enumerate(graph.nodes):
        offset = 0 if isinstance(node.op, View) else view_offset(node, graph)
        if offset is None or (index not in wanted and not isinstance(node.op, View)):
            continue
        x, y = node.inputs[0], node.outputs[0]
        source = pieces[x]
        if isinstance(node.op, Slice) and (y in outward or (source.offset + offset) % ALIGN):
            continue
        pieces[y] = Piece(source.root, source.offset + offset)
        elided.add(index)
    for i, name in enumerate(graph.outputs):
        owners[pieces[name].root] = f"output{i}"
    # Backwards: the storages of inputs become pieces of the joined output's.
    moved: dict[str, Piece] = {}
    for index in sorted(wanted, reverse=True):
        node = graph.nodes[index]
        offsets = join_offsets(node, graph)
        if offsets is not None and _can_join(node, graph, offsets, pieces, owners, moved):
            target = pieces[node.outputs[0]]
            for name, offset in zip(node.inputs, offsets, strict=True):
                moved[pieces[name].root] = Piece(target.root, target.offset + offset)
            elided.add(index)
    resolved = {name: _follow(piece, moved) for name, piece in pieces.items()}
    roots = {piece.root for piece in resolved.values()}
    return Storages(resolved, {r: o for r, o in owners.items() if r in roots}, frozenset(elided))


def _seen_from_outside(graph: Graph) -> set[str]:
    """The graph's outputs, and what they are views of."""
    outward = set(graph.outputs)
    for node in reversed(graph.nodes):
        if isinstance(node.op, View) and node.outputs[0] in outward:
            outward.add(node.inputs[0])
    return outward


def _activations(graph: Graph) -> Iterator[str]:
    yield from graph.inputs
    for node in graph.nodes:
        yield from node.outputs


def _can_join(
    node: Node,
    graph: Graph,
    offsets: tuple[int, ...],
    pieces: Mapping[str, Piece],
    owners: Mapping[str, str],
    moved: Mapping[str, Piece],
) -> bool:
    """Whether every input is all of a storage that may lie inside the output's."""
    roots = [pieces[name].root if name in pieces else "" for name in node.inputs]
    return (
        len(set(roots)) == len(roots)
        and all(offset % ALIGN == 0 for offset in offsets)
        and all(
            root
            and root not in moved
            and owners[root] == "arena"
            and pieces[name].offset == 0
            and graph.tensors[root].size_bytes == graph.tensors[name].size_bytes
            for root, name in zip(roots, node.inputs, strict=True)
        )
    )


def _follow(piece: Piece, moved: Mapping[str, Piece]) -> Piece:
    while target := moved.get(piece.root):
        piece = Piece(target.root, target.offset + piece.offset)
    return piece
