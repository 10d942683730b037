# SPDX-License-Identifier: MIT
"""Any axis of any tensor as the last one of a matrix [M, K], and back: the frame around Softmax."""

from __future__ import annotations

from math import prod

from codegen.ir import Node
from codegen.ops import Transpose, View
from codegen.passes.edit import Edit


def open_rows(edit: Edit, node: Node, name: str, axis: int) -> str:
    """`name` as [M, K] with `axis` as K."""
    tensor = edit.tensor(name)
    rank = len(tensor.shape)
    perm = _perm(rank, axis)
    if perm != tuple(range(rank)):
        moved = edit.activation(
            f"{name}.last", [tensor.shape[p] for p in perm], tensor.dtype, tensor.quant
        )
        edit.emit(Transpose(perm), [name], [moved], node, name=f"{node.name}.last")
        name = moved
    if rank == 2:
        return name
    size = tensor.shape[perm[-1]] if rank else 1
    rows = edit.activation(
        f"{name}.rows", (prod(tensor.shape) // max(size, 1), size), tensor.dtype, tensor.quant
    )
    edit.emit(View(), [name], [rows], node, name=f"{node.name}.rows")
    return rows


def close_rows(edit: Edit, node: Node, rows: str, name: str, axis: int) -> None:
    """Write `name` from the matrix that an operator made of `open_rows`' result."""
    tensor = edit.tensor(name)
    perm = _perm(len(tensor.shape), axis)
    moved = edit.activation(
        f"{name}.last", [tensor.shape[p] for p in perm], tensor.dtype, tensor.quant
    )
    edit.emit(View(), [rows], [moved], node, name=f"{node.name}.unrows")
    back = tuple(perm.index(axis) for axis in range(len(perm)))
    edit.emit(Transpose(back), [moved], [name], node, name=f"{node.name}.unlast")


def _perm(rank: int, axis: int) -> tuple[int, ...]:
    """The permutation that brings `axis` last and keeps the others in order."""
    axis %= rank
    return (*(a for a in range(rank) if a != axis), axis)
