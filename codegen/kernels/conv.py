# SPDX-License-Identifier: MIT
"""Convolutions: `nn_conv2d_*` for any, `nn_depthwise_*` for groups equal to the input channels."""

from __future__ import annotations

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_float, requant_text, window_text
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, op_of, optional
from codegen.ops import ConvF32, ConvS8


def is_depthwise(node: Node, graph: Graph) -> bool:
    """Whether each output channel sees one input channel, and that is no plain convolution."""
    op = node.op
    return isinstance(op, ConvS8 | ConvF32) and 1 < op.groups == in_and_out(node, graph)[0].shape[3]


def _conv_s8(kernel: str, node: Node, graph: Graph) -> Call:
    op = op_of(node, ConvS8)
    x, y = in_and_out(node, graph)
    weights, w = optional("weights", "int8_t", constant_input(node, graph, 1))
    biases, bias = optional("bias", "int32_t", constant_input(node, graph, 2))
    w_zps, w_zp = optional("w_zp", "int32_t", op.w_zp)
    multiplier = Constant("multiplier", "float", op.requant.multiplier)
    body = "\n".join(
        (
            window_text(op.window, x.shape, y.shape, op.groups),
            requant_text(op.requant),
            f"{kernel}(&p, &q, x0, {w}, {bias}, {w_zp}, @multiplier@, y0);",
        )
    )
    return Call((f"{kernel}.h",), (*weights, *biases, *w_zps, multiplier), body)


def _conv_f32(kernel: str, node: Node, graph: Graph) -> Call:
    op = op_of(node, ConvF32)
    x, y = in_and_out(node, graph)
    weights, w = optional("weights", "float", constant_input(node, graph, 1))
    biases, bias = optional("bias", "float", constant_input(node, graph, 2))
    clamp = f"{c_float(op.lo)}, {c_float(op.hi)}"
    body = "\n".join(
        (
            window_text(op.window, x.shape, y.shape, op.groups),
            f"{kernel}(&p, {clamp}, x0, {w}, {bias}, y0);",
        )
    )
    return Call((f"{kernel}.h",), (*weights, *biases), body)


def conv2d_s8(node: Node, graph: Graph) -> Call:
    return _conv_s8("nn_conv2d_s8", node, graph)


def depthwise_s8(node: Node, graph: Graph) -> Call:
    return _conv_s8("nn_depthwise_s8", node, graph)


def conv2d_f32(node: Node, graph: Graph) -> Call:
    return _conv_f32("nn_conv2d_f32", node, graph)


def depthwise_f32(node: Node, graph: Graph) -> Call:
    return _conv_f32("nn_depthwise_f32", node, graph)


REFERENCES = (
    Reference(
        "nn_depthwise_s8",
        lambda node, graph: isinstance(node.op, ConvS8) and is_depthwise(node, graph),
        depthwise_s8,
        nearest=pixel_by_pixel,
    ),
    Reference("nn_conv2d_s8", is_op(ConvS8), conv2d_s8, nearest=pixel_by_pixel),
    Reference(
        "nn_depthwise_f32",
        lambda node, graph: isinstance(node.op, ConvF32) and is_depthwise(node, graph),
        depthwise_f32,
        nearest=pixel_by_pixel,
    ),
    Reference("nn_conv2d_f32", is_op(ConvF32), conv2d_f32, nearest=pixel_by_pixel),
)
