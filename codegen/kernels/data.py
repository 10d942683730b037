# SPDX-License-Identifier: MIT
"""Operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from codegen.ir import ITEM_BYTES, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_array, c_float, c_struct
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, op_of
from codegen.ops import Concat, Copy, Pad, Resize, Slice, Transpose

RANK = 6
PAD_RANK = 4


def dense_steps(shape: Sequence[int]) -> list[int]:
    """Elements per index of each axis of a row-major array."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def merge_axes(sizes: Sequence[int], steps: Sequence[int]) -> tuple[list[int], list[int]]:
    """Drop axes of size 1 and join neighbours that are read in one stride."""
    merged: list[tuple[int, int]] = []
    for size, step in zip(sizes, steps, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == step * size:
            merged[-1] = (merged[-1][0] * size, step)
        else:
            merged.append((size, step))
    return [size for size, _ in merged], [step for _, step in merged]


def _strided_copy(item_bytes: int, sizes: Sequence[int], steps: Sequence[int], first: int) -> Call:
    sizes, steps = merge_axes(sizes, steps)
    missing = RANK - len(sizes)
    fields: dict[str, int | float | str] = {
        "size": c_array([1] * missing + sizes),
        "step": c_array([0] * missing + steps),
        "first": first,
    }
    body = f"{c_struct('nn_strided', 'p', fields)}\nnn_strided_copy({item_bytes}, &p, x0, y0);"
    return Call(("nn_strided_copy.h",), (), body)


def transpose(node: Node, graph: Graph) -> Call:
    op = op_of(node, Transpose)
    x, y = in_and_out(node, graph)
    steps = dense_steps(x.shape)
    return _strided_copy(ITEM_BYTES[x.dtype], y.shape, [steps[axis] for axis in op.perm], 0)


def slice_(node: Node, graph: Graph) -> Call:
    op = op_of(node, Slice)
    x, y = in_and_out(node, graph)
    dense = dense_steps(x.shape)
    first = sum(start * step for start, step in zip(op.starts, dense, strict=True))
    steps = [stride * step for stride, step in zip(op.steps, dense, strict=True)]
    return _strided_copy(ITEM_BYTES[x.dtype], y.shape, steps, first)


def copy(node: Node, graph: Graph) -> Call:
    """A constant (an output that depends on no input) is copied from flash as bytes."""
    size_bytes = in_and_out(node, graph)[1].size_bytes
    data = constant_input(node, graph, 0)
    if data is None:
        return Call(("nn_copy.h",), (), f"nn_copy({size_bytes}, x0, y0);")
    plain = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    return Call(
        ("nn_copy.h",), (Constant("x", "uint8_t", plain),), f"nn_copy({size_bytes}, @x@, y0);"
    )


def concat(node: Node, graph: Graph) -> Call:
    op = op_of(node, Concat)
    y = in_and_out(node, graph)[1]
    ctype = "int8_t" if y.dtype == "int8" else "float"
    rows = prod(y.shape[: op.axis])
    stride = y.size_bytes // rows
    constants: list[Constant] = []
    lines: list[str] = []
    offset = 0
    for index, name in enumerate(node.inputs):
        x = graph.tensors[name]
        data = constant_input(node, graph, index)
        if data is None:
            source = f"x{index - len(constants)}"
        else:
            constants.append(Constant(f"part{index}", ctype, data))
            source = f"@part{index}@"
        items = x.size_bytes // rows // ITEM_BYTES[x.dtype]
        piece = items * ITEM_BYTES[x.dtype]
        lines.append(f"nn_concat({rows}, {piece}, {stride}, {source}, y0 + {offset});")
        offset += items
    return Call(("nn_concat.h",), tuple(constants), "\n".join(lines))


def _pad_axes(node: Node, graph: Graph) -> list[tuple[int, int, int]]:
    """(x size, y size, before) per axis; unpadded neighbours are joined."""
    op = op_of(node, Pad)
    x, y = in_and_out(node, graph)
    axes: list[tuple[int, int, int]] = []
    plain = False
    for x_size, y_size, before in zip(x.shape, y.shape, op.before, strict=True):
        unpadded = x_size == y_size and before == 0
        if plain and unpadded:
            axes[-1] = (axes[-1][0] * x_size, axes[-1][1] * y_size, 0)
        else:
            axes.append((x_size, y_size, before))
        plain = unpadded
    return axes


def pad(node: Node, graph: Graph) -> Call:
    op = op_of(node, Pad)
    x, _ = in_and_out(node, graph)
    axes = _pad_axes(node, graph)
    axes = [(1, 1, 0)] * (PAD_RANK - len(axes)) + axes
    fields = {
        name: c_array([axis[i] for axis in axes])
        for i, name in enumerate(("x_size", "y_size", "before"))
    }
    mode = f"NN_PAD_{op.mode.upper()}"
    body = (
        f"{c_struct('nn_pads', 'p', fields)}\n"
        f"nn_pad({ITEM_BYTES[x.dtype]}, &p, {mode}, {c_float(op.value)}, x0, y0);"
    )
    return Call(("nn_pad.h",), (), body)


def _pads_few_axes(node: Node, graph: Graph) -> bool:
    return isinstance(node.op, Pad) and len(_pad_axes(node, graph)) <= PAD_RANK


def resize(node: Node, graph: Graph) -> Call:
    op = op_of(node, Resize)
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, channels = x.shape
    pixel_bytes = channels * ITEM_BYTES[x.dtype]
    sizes = f"{batch}, {in_h}, {in_w}, {pixel_bytes}, {y.shape[1]}, {y.shape[2]}"
    constants = (
        Constant("rows", "int32_t", np.array(op.rows, np.int32)),
        Constant("cols", "int32_t", np.array(op.cols, np.int32)),
    )
    return Call(("nn_resize.h",), constants, f"nn_resize({sizes}, @rows@, @cols@, x0, y0);")


REFERENCES = (
    Reference("nn_strided_copy", is_op(Transpose), transpose),
    Reference("nn_strided_copy", is_op(Slice), slice_),
    Reference("nn_copy", is_op(Copy), copy),
    Reference("nn_concat", is_op(Concat), concat),
    Reference("nn_pad", _pads_few_axes, pad),
    Reference("nn_resize", is_op(Resize), resize),
)
