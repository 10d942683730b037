# SPDX-License-Identifier: MIT
"""Element-wise functions of one input: a table on int8, arithmetic on float32."""

from __future__ import annotations

from math import prod

from codegen.ir import Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.c_text import c_float
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, op_of, optional
from codegen.ops import LutS8, UnaryF32


def lut_s8(node: Node, graph: Graph) -> Call:
    x, _ = in_and_out(node, graph)
    constants, table = optional("table", "int8_t", constant_input(node, graph, 1))
    body = f"nn_lut_s8({prod(x.shape)}, {table}, x0, y0);"
    return Call(("nn_lut_s8.h",), constants, body)


def unary_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, UnaryF32)
    x, _ = in_and_out(node, graph)
    kind = f"NN_{op.kind.upper()}"
    body = f"nn_unary_f32({kind}, {prod(x.shape)}, {c_float(op.p0)}, {c_float(op.p1)}, x0, y0);"
    return Call(("nn_unary_f32.h",), (), body)


REFERENCES = (
    Reference("nn_lut_s8", is_op(LutS8), lut_s8, in_place=True),
    Reference("nn_unary_f32", is_op(UnaryF32), unary_f32, in_place=True),
)
