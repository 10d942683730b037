# SPDX-License-Identifier: MIT
"""ReduceMean as average pooling: the reduced axes become a window over H, W."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from codegen.ir import Node, OnnxOp
from codegen.ops import Transpose, View, Window
from codegen.passes.attributes import integer, integers
from codegen.passes.edit import Edit
from codegen.passes.windows import spatial, to_nhwc


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean opened as pooling: `source` and the pooled `out_shape` are [N, H, W, C].

    `spatial` says that these are the tensor's own axes, channels last; else the result is in order
    as it is. `trailing` says that the reduced axes are the file's last ones.
    """

    source: str
    window: Window
    out_shape: tuple[int, int, int, int]
    spatial: bool
    trailing: bool


def open_mean(edit: Edit, node: Node, op: OnnxOp, name: str) -> Mean | None:
    """Bring `name` into the frame, or None after a refusal."""
    shape = edit.tensor(name).shape
    axes = _axes(edit, node, op, len(shape))
    if axes is None:
        return None
    trailing = all(a in axes for a in range(axes[0], len(shape)) if shape[a] > 1) if axes else False
    if len(shape) in (3, 4) and set(axes) <= {2, 3}:
        height, width = spatial(shape)
        over_h = height if len(shape) == 4 and 2 in axes else 1
        over_w = width if len(shape) - 1 in axes else 1
        out_shape = (shape[0], height // over_h, width // over_w, shape[1])
        return Mean(to_nhwc(edit, node, name), Window((over_h, over_w)), out_shape, True, trailing)
    return _open_any(edit, node, name, axes, trailing)


def _open_any(edit: Edit, node: Node, name: str, axes: list[int], trailing: bool) -> Mean:
    """Any axes: a leading kept axis is the batch, all other kept ones become channels."""
    tensor = edit.tensor(name)
    kept = [a for a in range(len(tensor.shape)) if a not in axes]
    lead = [0] if kept[:1] == [0] else []
    tail = kept[len(lead) :]
    perm = (*lead, *axes, *tail)
    moved = edit.activation(
        f"{name}.mean", [tensor.shape[p] for p in perm], tensor.dtype, tensor.quant
    )
    edit.emit(Transpose(perm), [name], [moved], node, name=f"{node.name}.last")
    height = prod(tensor.shape[a] for a in axes[:-1])
    width = prod(tensor.shape[a] for a in axes[-1:])
    batch, channels = (prod(tensor.shape[a] for a in group) for group in (lead, tail))
    framed = edit.activation(
        f"{name}.nhwc", (batch, height, width, channels), tensor.dtype, tensor.quant
    )
    edit.emit(View(), [moved], [framed], node, name=f"{node.name}.nhwc")
    return Mean(framed, Window((height, width)), (batch, 1, 1, channels), False, trailing)


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
    """Write the ONNX result `name`, whatever its keepdims, from the pooled `result`."""
    if mean.spatial:
        n, h, w, c = mean.out_shape
        tensor = edit.tensor(result)
        turned = edit.activation(f"{name}.nchw", (n, c, h, w), tensor.dtype, tensor.quant)
        edit.emit(Transpose((0, 3, 1, 2)), [result], [turned], node, name=f"{node.name}.nchw")
        result = turned
    edit.emit(View(), [result], [name], node, name=f"{node.name}.shape")
