# SPDX-License-Identifier: MIT
"""Between float32 and int8, and between uint8 and int8."""

from __future__ import annotations

from math import prod

from codegen.ir import Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.c_text import c_float
from codegen.kernels.reference import Reference, in_and_out, is_op, op_of
from codegen.ops import Dequantize, FlipSign, Quantize


def quantize(node: Node, graph: Graph) -> Call:
    op = op_of(node, Quantize)
    count = prod(in_and_out(node, graph)[0].shape)
    body = f"nn_quantize_f32_s8({count}, {c_float(op.scale)}, {op.zp}, x0, y0);"
    return Call(("nn_quantize_f32_s8.h",), (), body)


def dequantize(node: Node, graph: Graph) -> Call:
    op = op_of(node, Dequantize)
    count = prod(in_and_out(node, graph)[0].shape)
    body = f"nn_dequantize_s8_f32({count}, {c_float(op.scale)}, {op.zp}, x0, y0);"
    return Call(("nn_dequantize_s8_f32.h",), (), body)


def flip_sign(node: Node, graph: Graph) -> Call:
    count = prod(in_and_out(node, graph)[0].shape)
    return Call(("nn_flip_sign.h",), (), f"nn_flip_sign({count}, x0, y0);")


REFERENCES = (
    Reference("nn_quantize_f32_s8", is_op(Quantize), quantize),
    Reference("nn_dequantize_s8_f32", is_op(Dequantize), dequantize),
    Reference("nn_flip_sign", is_op(FlipSign), flip_sign, in_place=True),
)
