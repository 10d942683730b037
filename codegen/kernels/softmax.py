# SPDX-License-Identifier: MIT
"""Softmax over the last axis."""

from __future__ import annotations

import math

import numpy as np

from codegen.ir import Array, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_float
from codegen.kernels.reference import Reference, in_and_out, is_op, op_of
from codegen.ops import SoftmaxF32, SoftmaxS8


def exponentials(in_scale: float, cols: int) -> Array:
    """QLinearSoftmax's table: exp((i - 255) * in_scale), scaled so that a row fits uint32."""
    largest = min(float(2**32 - 1) / cols, float(0x7FFFFF))
    scale = float(np.float32(in_scale))
    return np.array([round(largest * math.exp((i - 255) * scale)) for i in range(256)], np.uint32)


def softmax_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, SoftmaxS8)
    rows, cols = in_and_out(node, graph)[0].shape
    table = Constant("table", "uint32_t", exponentials(op.in_scale, cols))
    body = f"nn_softmax_s8({rows}, {cols}, {c_float(op.out_scale)}, {op.out_zp}, @table@, x0, y0);"
    return Call(("nn_softmax_s8.h",), (table,), body)


def softmax_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, SoftmaxF32)
    rows, cols = in_and_out(node, graph)[0].shape
    return Call(
        ("nn_softmax_f32.h",), (), f"nn_softmax_f32({rows}, {cols}, {int(op.log)}, x0, y0);"
    )


REFERENCES = (
    Reference("nn_softmax_s8", is_op(SoftmaxS8), softmax_s8, in_place=True),
    Reference("nn_softmax_f32", is_op(SoftmaxF32), softmax_f32, in_place=True),
)
