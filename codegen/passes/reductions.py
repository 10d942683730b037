# SPDX-License-Identifier: MIT
"""ReduceMean as average pooling: the reduced axes become a window over H, W."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from codegen.ir import Node, OnnxOp
from codegen.ops import Transpose, View, Window
from codegen.passes.attributes import integer, integers
from codegen.passes.edit import Edit


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean opened as pooling: `source` is [N, H, W, C] and the pooled `out_shape` is [N, 1, 1, C]."""

    source: str
    window: Window
    out_shape: tuple[int, int, int, int]


def open_mean(edit: Edit, node: Node, op: OnnxOp, name: str) -> Mean | None:
    """Bring `name` into the frame, or None after a refusal."""
    tensor = edit.tensor(name)
    rank = len(tensor.shape)
    axes = _axes(edit, node, op, rank)
    if axes is None:
        return None
    kept = [a for a in range(rank) if a not in axes]
    # A leading kept axis is the batch and stays in front; other kept axes become channels.
    lead = [0] if kept[:1] == [0] else []
    tail = kept[len(lead) :]
    perm = (*lead, *axes, *tail)
    moved = edit.activation(
        f"{name}.mean", [tensor.shape[p] for p in perm], tensor.dtype, tensor.quant
    )
    edit.emit(Transpose(perm), [name], [moved], node, name=f"{node.name}.last")
    sizes = [tensor.shape[a] for a in axes]
    height = prod(sizes[:-1])
    width = sizes[-1] if sizes else 1
    batch = prod(tensor.shape[a] for a in lead)
    channels = prod(tensor.shape[a] for a in tail)
    framed = edit.activation(
        f"{name}.nhwc", (batch, height, width, channels), tensor.dtype, tensor.quant
    )
    edit.emit(View(), [moved], [framed], node, name=f"{node.name}.nhwc")
    return Mean(framed, Window((height, width)), (batch, 1, 1, channels))


def _axes(edit: Edit, node: Node, op: OnnxOp, rank: int) -> list[int] | None:
    """The reduced axes in order; opset 18 made them an input."""
    axes: tuple[int, ...] = integers(op, "axes", ())
    if len(node.inputs) > 1 and node.inputs[1]:
        data = edit.constant(node.inputs[1])
        if data is None:
            edit.refuse(node, "its axes are computed at run time")
            return None
        axes = tuple(int(a) for a in data.reshape(-1))
    if not axes and not integer(op, "noop_with_empty_axes", 0):
        axes = tuple(range(rank))
    return sorted(a % rank for a in axes)


def close_mean(edit: Edit, node: Node, mean: Mean, result: str, name: str) -> None:
    """Write `name` from the pooled `result`: the kept axes are in their own order already."""
    edit.emit(View(), [result], [name], node, name=f"{node.name}.shape")
