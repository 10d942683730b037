# SPDX-License-Identifier: MIT
"""Layer normalization."""

from __future__ import annotations

from codegen.ir import Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.c_text import c_float
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, op_of, optional
from codegen.ops import LayerNormF32


def layer_norm_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, LayerNormF32)
    rows, cols = in_and_out(node, graph)[0].shape
    scales, scale = optional("scale", "float", constant_input(node, graph, 1))
    biases, bias = optional("bias", "float", constant_input(node, graph, 2))
    body = f"nn_layernorm_f32({rows}, {cols}, {c_float(op.epsilon)}, x0, {scale}, {bias}, y0);"
    return Call(("nn_layernorm_f32.h",), (*scales, *biases), body)


REFERENCES = (Reference("nn_layernorm_f32", is_op(LayerNormF32), layer_norm_f32, in_place=True),)
