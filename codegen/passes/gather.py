# SPDX-License-Identifier: MIT
"""Gather with constant indices: a Slice, or a few of them joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.ir import Node, OnnxOp
from codegen.ops import Concat, Slice, View
from codegen.passes.attributes import integer
from codegen.passes.edit import Edit

_MOST_PIECES = 64
"""Each piece is a copy of its own; a look-up table in disguise should not become thousands."""


def lower_gather(edit: Edit, node: Node, op: OnnxOp) -> None:
    """Slices for the runs of equal distance among the indices, one after the other."""
    source, output = edit.tensor(node.inputs[0]), edit.tensor(node.outputs[0])
    axis = integer(op, "axis", 0) % len(source.shape)
    size = source.shape[axis]
    indices = edit.constant(node.inputs[1])
    if indices is None:
        edit.refuse(node, "its indices are computed at run time")
        return
    places = [int(i) for i in indices.reshape(-1)]
    if not places or not all(-size <= place < size for place in places):
        edit.refuse(node, f"its indices are none or outside an axis of {size}")
        return
    runs = list(_runs([place % size for place in places]))
    if len(runs) > _MOST_PIECES:
        edit.refuse(node, f"its indices fall into {len(runs)} pieces, more than {_MOST_PIECES}")
        return
    pieces: list[str] = []
    for start, step, length in runs:
        shape = (*source.shape[:axis], length, *source.shape[axis + 1 :])
        piece = edit.activation(f"{output.name}.piece", shape, source.dtype, source.quant)
        starts = tuple(start if a == axis else 0 for a in range(len(shape)))
        steps = tuple(step if a == axis else 1 for a in range(len(shape)))
        name = node.name if len(runs) == 1 else f"{node.name}.{len(pieces)}"
        edit.emit(Slice(starts, steps), [source.name], [piece], node, name=name)
        pieces.append(piece)
    if len(pieces) > 1:
        shape = (*source.shape[:axis], len(places), *source.shape[axis + 1 :])
        joined = edit.activation(f"{output.name}.joined", shape, source.dtype, source.quant)
        edit.emit(Concat(axis), pieces, [joined], node)
        pieces = [joined]
    edit.emit(View(), pieces, node.outputs, node, name=f"{node.name}.shape")


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(start, step, length) of runs with one distance that is not 0, each as long as it gets."""
    at = 0
    while at < len(places):
        end, step = at + 1, 1
        if end < len(places) and places[end] != places[at]:
            step = places[end] - places[at]
            while end < len(places) and places[end] - places[end - 1] == step:
                end += 1
        yield places[at], step, end - at
        at = end
