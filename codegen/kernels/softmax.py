# SPDX-License-Identifier: MIT
"""Softmax over the last axis."""

from __future__ import annotations

import numpy as np

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_float
from codegen.kernels.reference import Reference, in_and_out, is_op, op_of
from codegen.ops import SoftmaxF32, SoftmaxS8
from codegen.oracle.softmax import exponentials


def softmax_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, SoftmaxS8)
    rows, cols = in_and_out(node, graph)[0].shape
    table = Constant("table", "float", exponentials(op.in_scale, cols))
    levels = np.floor(np.float32(1) / np.float32(op.out_scale))
    body = f"nn_softmax_s8({rows}, {cols}, {c_float(levels)}, {op.out_zp}, @table@, x0, y0);"
    return Call(("nn_softmax_s8.h",), (table,), body)


def softmax_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, SoftmaxF32)
    rows, cols = in_and_out(node, graph)[0].shape
    return Call(
        ("nn_softmax_f32.h",), (), f"nn_softmax_f32({rows}, {cols}, {int(op.log)}, x0, y0);"
    )


REFERENCES = (
    Reference("nn_softmax_s8", is_op(SoftmaxS8), softmax_s8, in_place=True),
    # Not in place: it reads its output back, and a watch could not tell that from its lost input.
    Reference("nn_softmax_f32", is_op(SoftmaxF32), softmax_f32),
)
