# SPDX-License-Identifier: MIT
"""What ONNX Runtime computes, operator by operator, written down in numpy.

The reference is ONNX Runtime's CPU session with `session.qdqisint8allowed` = 1, in which groups of
DequantizeLinear, operator, QuantizeLinear run as integer operators. Results in int8 are meant to be
equal to the bit; float32 results agree to about 1e-6 of the largest output. Each operator's file
says what it owes to x86.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from codegen import ops
from codegen.ir import Array, Graph, Node
from codegen.oracle import elementwise, linear, movement, normalization, pooling, recurrent, softmax

__all__ = ["accumulators", "evaluate", "run"]


def _conv_add_s8(op: ops.ConvAddS8, shape: tuple[int, ...], *inputs: Any) -> Array:
    """A convolution and then an addition, each rounded as if it were alone."""
    *operands, other = inputs
    pair = (linear.conv_s8(op.conv, shape, *operands), other)
    return elementwise.binary_s8(op.add, shape, *(pair if op.place == 0 else pair[::-1]))


def _conv_add_acc(op: ops.ConvAddS8, shape: tuple[int, ...], *inputs: Any) -> Array:
    return linear.conv_acc(op.conv, shape, *inputs[:-1])


_RULES: Mapping[type, Callable[..., Array]] = {
    ops.ConvS8: linear.conv_s8,
    ops.ConvF32: linear.conv_f32,
    ops.DenseS8: linear.dense_s8,
    ops.DenseF32: linear.dense_f32,
    ops.MatMulS8: linear.matmul_s8,
    ops.MatMulF32: linear.matmul_f32,
    ops.BinaryS8: elementwise.binary_s8,
    ops.BinaryF32: elementwise.binary_f32,
    ops.PReluS8: elementwise.prelu_s8,
    ops.ConvAddS8: _conv_add_s8,
    ops.LutS8: elementwise.lut_s8,
    ops.UnaryF32: elementwise.unary_f32,
    ops.Quantize: elementwise.quantize,
    ops.Dequantize: elementwise.dequantize,
    ops.MaxPool: pooling.maxpool,
    ops.AvgPoolS8: pooling.avgpool_s8,
    ops.AvgPoolF32: pooling.avgpool_f32,
    ops.SoftmaxS8: softmax.softmax_s8,
    ops.SoftmaxF32: softmax.softmax_f32,
    ops.LayerNormF32: normalization.layer_norm_f32,
    ops.GruF32: recurrent.gru_f32,
    ops.LstmF32: recurrent.lstm_f32,
    ops.ArgMax: movement.argmax,
    ops.FlipSign: movement.flip_sign,
    ops.View: movement.reshape,
    ops.Copy: movement.reshape,
    ops.Transpose: movement.transpose,
    ops.Concat: movement.concat,
    ops.Slice: movement.slice_,
    ops.Pad: movement.pad,
    ops.Resize: movement.resize,
}

_ACCUMULATORS: Mapping[type, Callable[..., Any]] = {
    ops.ConvS8: linear.conv_acc,
    ops.ConvAddS8: _conv_add_acc,
    ops.DenseS8: linear.dense_acc,
    ops.MatMulS8: linear.matmul_acc,
}


def run(
    graph: Graph, inputs: Mapping[str, Array], *, keep_all: bool = False
) -> Mapping[str, Array]:
    """The outputs of a lowered graph by name; with `keep_all`, every tensor that is not constant.

    `inputs` are arrays in the graph's types and shapes. Raises ValueError when one is missing or
    has another shape or type.
    """
    values: dict[str, Array] = {}
    for name in graph.inputs:
        values[name] = _checked(graph, name, inputs.get(name))
    for node in graph.nodes:
        for name, value in zip(node.outputs, [evaluate(node, graph, values)], strict=True):
            values[name] = value
    wanted = values if keep_all else graph.outputs
    return MappingProxyType({name: _value(graph, values, name) for name in wanted})


def evaluate(node: Node, graph: Graph, values: Mapping[str, Array]) -> Array:
    """The output of one node; `values` holds its inputs that are not constant."""
    rule = _RULES.get(type(node.op))
    if rule is None:
        raise ValueError(f"{node.name}: {type(node.op).__name__} is not a lowered operator")
    shape = graph.tensors[node.outputs[0]].shape
    return rule(node.op, shape, *_operands(node, graph, values))


def accumulators(node: Node, graph: Graph, values: Mapping[str, Array]) -> Array | None:
    """The sums behind each output of a ConvS8, DenseS8 or MatMulS8, bias included; else None."""
    rule = _ACCUMULATORS.get(type(node.op))
    if rule is None:
        return None
    shape = graph.tensors[node.outputs[0]].shape
    return np.asarray(rule(node.op, shape, *_operands(node, graph, values)))


def _operands(node: Node, graph: Graph, values: Mapping[str, Array]) -> list[Array | None]:
    return [_value(graph, values, name) if name else None for name in node.inputs]


def _value(graph: Graph, values: Mapping[str, Array], name: str) -> Array:
    data = graph.tensors[name].data
    return values[name] if data is None else data


def _checked(graph: Graph, name: str, value: Array | None) -> Array:
    tensor = graph.tensors[name]
    if value is None:
        raise ValueError(f"input {name!r} is missing")
    if value.shape != tensor.shape or value.dtype != tensor.dtype:
        raise ValueError(
            f"input {name!r} is {value.dtype}{value.shape}, not {tensor.dtype}{tensor.shape}"
        )
    return value
