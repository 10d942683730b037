# SPDX-License-Identifier: MIT
"""Tensors of any rank as (stacks of) matrices, and back: the frame of Dense and MatMul."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from codegen.ir import Node
from codegen.ops import Transpose, View
from codegen.passes.edit import Edit


def open_matrix(edit: Edit, node: Node, name: str, transpose: bool = False) -> str:
    """`name` [..., K] as [M, K]; with `transpose`, [K, M] is turned first."""
    tensor = edit.tensor(name)
    if transpose:
        turned = edit.activation(f"{name}.t", tensor.shape[::-1], tensor.dtype, tensor.quant)
        edit.emit(Transpose((1, 0)), [name], [turned], node, name=f"{node.name}.t")
        return turned
    if len(tensor.shape) == 2:
        return name
    shape = (prod(tensor.shape[:-1]), tensor.shape[-1])
    return _view(edit, node, name, shape)


def _view(edit: Edit, node: Node, name: str, shape: tuple[int, ...]) -> str:
    tensor = edit.tensor(name)
    if tensor.shape == shape:
        return name
    flat = edit.activation(f"{name}.matrix", shape, tensor.dtype, tensor.quant)
    edit.emit(View(), [name], [flat], node, name=f"{node.name}.matrix")
    return flat


def close_matrix(edit: Edit, node: Node, result: str, name: str) -> None:
    """Write the ONNX result `name` from the matrix `result`, which holds the same bytes."""
    edit.emit(View(), [result], [name], node, name=f"{node.name}.shape")


@dataclass(frozen=True, slots=True)
class Batches:
    """Operands a[B, M, K] and b[B, K, N], and the tensor that shall hold y[B, M, N]."""

    inputs: tuple[str, str]
    result: str


def _batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The batch axes, less leading ones, which broadcasting adds."""
    axes = list(shape[:-2])
    while axes[:1] == [1]:
        del axes[0]
    return tuple(axes)


def open_batches(edit: Edit, node: Node, a: str, b: str, target: str) -> Batches | None:
    """Frame a product of two activations; None when their batch axes differ."""
    a_shape, b_shape = edit.tensor(a).shape, edit.tensor(b).shape
    # A vector on the left is a row, one on the right a column, as in numpy.
    a_shape = (1, *a_shape) if len(a_shape) == 1 else a_shape
    b_shape = (*b_shape, 1) if len(b_shape) == 1 else b_shape
    a_batch, b_batch = prod(a_shape[:-2]), prod(b_shape[:-2])
    m, k = a_shape[-2:]
    n = b_shape[-1]
    if b_batch == 1:
        a_batch, m = 1, a_batch * m
    elif _batch(a_shape) != _batch(b_shape):
        return None
    tensor = edit.tensor(target)
    result = edit.activation(f"{target}.matrix", (a_batch, m, n), tensor.dtype, tensor.quant)
    inputs = (
        _view(edit, node, a, (a_batch, m, k)),
        _view(edit, node, b, (b_batch, k, n)),
    )
    return Batches(inputs, result)
