# SPDX-License-Identifier: MIT
"""Fully connected layers (constant weights) and products of two activations."""

from __future__ import annotations

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.binary import operands
from codegen.kernels.c_text import c_float, requant_text
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, op_of, optional
from codegen.ops import DenseF32, DenseS8, MatMulF32, MatMulS8


def dense_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, DenseS8)
    x, y = in_and_out(node, graph)
    weights, w = optional("weights", "int8_t", constant_input(node, graph, 1))
    biases, bias = optional("bias", "int32_t", constant_input(node, graph, 2))
    w_zps, w_zp = optional("w_zp", "int32_t", op.w_zp)
    multiplier = Constant("multiplier", "float", op.requant.multiplier)
    rows, depth, cols = x.shape[0], x.shape[1], y.shape[1]
    body = (
        f"{requant_text(op.requant)}\n"
        f"nn_dense_s8({rows}, {depth}, {cols}, &q, x0, {w}, {bias}, {w_zp}, @multiplier@, y0);"
    )
    return Call(("nn_dense_s8.h",), (*weights, *biases, *w_zps, multiplier), body)


def dense_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, DenseF32)
    x, y = in_and_out(node, graph)
    weights, w = optional("weights", "float", constant_input(node, graph, 1))
    biases, bias = optional("bias", "float", constant_input(node, graph, 2))
    rows, depth, cols = x.shape[0], x.shape[1], y.shape[1]
    clamp = f"{c_float(op.lo)}, {c_float(op.hi)}"
    body = f"nn_dense_f32({rows}, {depth}, {cols}, {clamp}, x0, {w}, {bias}, y0);"
    return Call(("nn_dense_f32.h",), (*weights, *biases), body)


def _matmul_sizes(node: Node, graph: Graph) -> str:
    a, y = in_and_out(node, graph)
    return f"{y.shape[0]}, {y.shape[1]}, {a.shape[2]}, {y.shape[2]}"


def matmul_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, MatMulS8)
    constants, names = operands(node, graph, "int8_t")
    multiplier = c_float(float(op.requant.multiplier.reshape(-1)[0]))
    body = (
        f"{requant_text(op.requant)}\n"
        f"nn_matmul_s8({_matmul_sizes(node, graph)}, &q, {op.b_zp}, {multiplier}, {names}, y0);"
    )
    return Call(("nn_matmul_s8.h",), constants, body)


def matmul_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, MatMulF32)
    constants, names = operands(node, graph, "float")
    clamp = f"{c_float(op.lo)}, {c_float(op.hi)}"
    body = f"nn_matmul_f32({_matmul_sizes(node, graph)}, {clamp}, {names}, y0);"
    return Call(("nn_matmul_f32.h",), constants, body)


REFERENCES = (
    Reference("nn_dense_s8", is_op(DenseS8), dense_s8),
    Reference("nn_dense_f32", is_op(DenseF32), dense_f32),
    Reference("nn_matmul_s8", is_op(MatMulS8), matmul_s8),
    Reference("nn_matmul_f32", is_op(MatMulF32), matmul_f32),
)
