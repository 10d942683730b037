# SPDX-License-Identifier: MIT
"""Convolutions and matrix products in integers, with the multipliers that ONNX Runtime computes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from codegen.ir import F32, I8, I32, Node, OnnxOp, Quant, Tensor
from codegen.ops import ConvS8, DenseS8, Dequantize, MatMulS8, Quantize, Requant
from codegen.passes.attributes import integer, real
from codegen.passes.edit import Edit
from codegen.passes.matrices import close_matrix, open_batches, open_matrix
from codegen.passes.quants import dequantized, int8_operand, int8_source, literal, quantized
from codegen.passes.windows import close_nhwc, from_nhwc, spatial, to_nhwc, window_of


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Constant weights with all that turns their accumulators into int8."""

    weights: I8
    bias: I32
    w_zp: I32 | None
    requant: Requant


def lower_conv(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    """Dequantize -> Conv -> Quantize, as QLinearConv computes it."""
    found = int8_source(edit, node.inputs[0])
    weights = weights_of(edit, node)
    if found is None or weights is None or len(weights.shape) not in (3, 4):
        return False
    source, of = found
    bias = literal(edit, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    linear = linear_of(weights, 0, of, to, bias)
    if linear is None:
        return False
    emit_conv(edit, node, op, source, quantize.outputs[0], linear, quantize)
    return True


def weights_of(edit: Edit, node: Node) -> Tensor | None:
    """The constant weights of a node between Dequantize and Quantize.

    ONNX Runtime's optimizer quantizes float ones here, over their range, if the bias is float too.
    """
    weights = literal(edit, node.inputs[1])
    bias = literal(edit, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if weights is None or weights.data is None or weights.dtype != "float32":
        return weights
    if bias is not None and bias.quant is not None:
        return weights
    data = weights.data.astype(np.float32)
    least, most = np.minimum(data.min(), 0), np.maximum(data.max(), 0)
    scale = (most - least) / np.float32(255) if most > least else np.float32(1)
    point = int(np.rint(np.clip(np.float32(-128) - least / scale, -128, 127)))
    quant = Quant(np.asarray(scale, np.float32), np.asarray(point, np.int32))
    integers = quantized(data, float(scale), point)
    return Tensor(weights.name, weights.shape, "int8", integers, quant)


def emit_conv(
    edit: Edit, node: Node, op: OnnxOp, source: str, target: str, linear: Linear, *origins: Node
) -> None:
    """A ConvS8 from ONNX-shaped `source` to `target`, in the channels-last frame."""
    shape, out_shape = edit.tensor(source).shape, edit.tensor(target).shape
    weights = linear.weights
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    kernel = linear.weights.shape[2:]
    kind = ConvS8(
        window=window_of(op, spatial(shape), spatial(out_shape), kernel),
        groups=integer(op, "group", 1),
        requant=linear.requant,
        w_zp=linear.w_zp,
    )
    w = edit.new_constant(f"{node.name}.weights", weights.transpose(0, 2, 3, 1))
    b = edit.new_constant(f"{node.name}.bias", linear.bias)
    inner = to_nhwc(edit, node, source)
    result = from_nhwc(edit, node, target)
    edit.emit(kind, [inner, w, b], [result], node, *origins)
    close_nhwc(edit, node, result, target)


def lower_gemm(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    """Dequantize -> Gemm with constant B -> Quantize, as QGemm computes it."""
    found = int8_source(edit, node.inputs[0])
    weights = weights_of(edit, node)
    if found is None or weights is None or weights.data is None or real(op, "beta", 1.0) != 1.0:
        return False
    source, of = found
    bias = literal(edit, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if len(node.inputs) > 2 and node.inputs[2] and bias is None:
        return False
    out_axis = 0 if integer(op, "transB", 0) else 1
    linear = linear_of(weights, out_axis, of, to, bias, np.float32(real(op, "alpha", 1.0)))
    if linear is None:
        return False
    transpose = bool(integer(op, "transA", 0))
    emit_dense(edit, node, source, quantize.outputs[0], linear, quantize, transpose=transpose)
    return True


def lower_matmul(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    """Dequantize -> MatMul -> Quantize, as QLinearMatMul computes it."""
    found, weights = int8_operand(edit, node.inputs[0]), literal(edit, node.inputs[1])
    if found is None:
        return False
    source, of = found
    linear = None
    if weights is not None and len(weights.shape) == 2:
        linear = linear_of(weights, 1, of, to, None)
    if linear is not None and edit.constant(source) is None:
        emit_dense(edit, node, source, quantize.outputs[0], linear, quantize)
        return True
    other = int8_operand(edit, node.inputs[1])
    if other is None:
        return False
    return emit_matmul(edit, node, found, other, quantize.outputs[0], to, quantize)


def emit_dense(
    edit: Edit,
    node: Node,
    source: str,
    target: str,
    linear: Linear,
    *origins: Node,
    transpose: bool = False,
) -> None:
    """A DenseS8 from `source` [..., K] to `target` [..., N]; `linear.weights` is [N, K]."""
    w = edit.new_constant(f"{node.name}.weights", linear.weights)
    b = edit.new_constant(f"{node.name}.bias", linear.bias)
    matrix = open_matrix(edit, node, source, transpose)
    shape = (edit.tensor(matrix).shape[0], linear.weights.shape[0])
    quant = edit.tensor(target).quant
    result = edit.activation(f"{target}.matrix", shape, "int8", quant)
    edit.emit(DenseS8(linear.requant, linear.w_zp), [matrix, w, b], [result], node, *origins)
    close_matrix(edit, node, result, target)


def emit_matmul(
    edit: Edit,
    node: Node,
    a: tuple[str, Dequantize],
    b: tuple[str, Dequantize],
    target: str,
    to: Quantize,
    *origins: Node,
) -> bool:
    """A MatMulS8 of two activations, or False when their batches do not pair up."""
    frame = open_batches(edit, node, a[0], b[0], target)
    if frame is None:
        return False
    multiplier = _multiplier(a[1].scale, np.float32(b[1].scale).reshape(1), to.scale)
    kind = MatMulS8(Requant(multiplier, a[1].zp, to.zp), b[1].zp)
    edit.emit(kind, frame.inputs, [frame.result], node, *origins)
    close_matrix(edit, node, frame.result, target)
    return True


def lower_qlinear_conv(edit: Edit, node: Node, op: OnnxOp) -> None:
    """QLinearConv(x, x_scale, x_zp, w, w_scale, w_zp, y_scale, y_zp, bias)."""
    of, to = _parameters(edit, node, 1), _parameters(edit, node, 6)
    weights = _weights(edit, node, 0)
    bias = edit.tensor(node.inputs[8]) if len(node.inputs) > 8 and node.inputs[8] else None
    linear = None
    if weights is not None and len(weights.shape) in (3, 4):
        linear = linear_of(weights, 0, of, to, bias)
    if linear is None:
        edit.refuse(node, "its weights are no constant 1-D or 2-D int8 filters")
        return
    emit_conv(edit, node, op, node.inputs[0], node.outputs[0], linear)


def lower_qlinear_matmul(edit: Edit, node: Node, op: OnnxOp) -> None:
    """QLinearMatMul(a, a_scale, a_zp, b, b_scale, b_zp, y_scale, y_zp)."""
    of, to = _parameters(edit, node, 1), _parameters(edit, node, 6)
    weights = _weights(edit, node, 1)
    if weights is not None and len(weights.shape) == 2:
        linear = linear_of(weights, 1, of, to, None)
        if linear is not None:
            emit_dense(edit, node, node.inputs[0], node.outputs[0], linear)
            return
    a = node.inputs[0], Dequantize(of.scale, of.zp)
    b = node.inputs[3], Dequantize(*_scalars(edit, node, 4))
    if not emit_matmul(edit, node, a, b, node.outputs[0], to):
        edit.refuse(node, "the batch axes of its operands differ")


def _scalars(edit: Edit, node: Node, index: int) -> tuple[float, int]:
    scale, zero_point = edit.constant(node.inputs[index]), edit.constant(node.inputs[index + 1])
    assert scale is not None and zero_point is not None
    if scale.size != 1 or zero_point.size != 1:
        edit.refuse(node, "activations with a scale per row or column are not supported")
    return float(scale.reshape(-1)[0]), int(zero_point.reshape(-1)[0])


def _parameters(edit: Edit, node: Node, index: int) -> Quantize:
    return Quantize(*_scalars(edit, node, index))


def _weights(edit: Edit, node: Node, axis: int) -> Tensor | None:
    """The constant second operand of a QLinear operator, with its parameters on it."""
    data = edit.constant(node.inputs[3])
    scale, zero_point = edit.constant(node.inputs[4]), edit.constant(node.inputs[5])
    if data is None or scale is None or zero_point is None:
        return None
    quant = Quant(scale.astype(np.float32), zero_point.astype(np.int32), axis)
    if scale.size == 1:
        quant = Quant(scale.astype(np.float32).reshape(()), zero_point.astype(np.int32).reshape(()))
    return Tensor(node.inputs[3], data.shape, "int8", data, quant)


def linear_of(
    weights: Tensor,
    out_axis: int,
    of: Dequantize | Quantize,
    to: Quantize,
    bias: Tensor | None,
    alpha: np.float32 | None = None,
) -> Linear | None:
    """Weights with their output axis first; None unless int8 with scales per output or one."""
    quant = weights.quant
    if weights.data is None or weights.dtype != "int8" or quant is None:
        return None
    if quant.axis not in (None, out_axis):
        return None
    data = np.moveaxis(weights.data.astype(np.int8), out_axis, 0)
    count = data.shape[0]
    in_scale = np.float32(of.scale)
    if alpha is not None:
        in_scale = alpha * in_scale
    scales = quant.scale.reshape(-1)
    integers = _bias(bias, count, in_scale * scales)
    if integers is None:
        return None
    w_zp = np.broadcast_to(quant.zero_point.reshape(-1), (count,)).astype(np.int32)
    return Linear(
        weights=np.ascontiguousarray(data),
        bias=integers,
        w_zp=w_zp if w_zp.any() else None,
        requant=Requant(_multiplier(float(in_scale), scales, to.scale), of.zp, to.zp),
    )


def _multiplier(in_scale: float, weight_scales: F32, out_scale: float) -> F32:
    """`f32(f32(sx * sw) / sy)`, in this order: ONNX Runtime's ComputeOutputScale."""
    return (np.float32(in_scale) * weight_scales / np.float32(out_scale)).astype(np.float32)


def _bias(bias: Tensor | None, count: int, scales: F32) -> I32 | None:
    """The int32 bias; a float one is rounded to the accumulator's scale. None when it does not fit.

    ONNX Runtime takes the integers of a quantized bias as they are and never looks at its scale.
    """
    if bias is None:
        return np.zeros(count, np.int32)
    assert bias.data is not None
    if prod(bias.shape) not in (1, count):
        return None
    if bias.dtype == "int32":
        integers = bias.data
    else:
        real = dequantized(bias) if bias.quant is not None else bias.data.astype(np.float32)
        exact = np.rint(real.reshape(-1).astype(np.float64) / scales.astype(np.float64))
        integers = np.clip(exact, -(2**31), 2**31 - 1)
    return np.broadcast_to(integers.reshape(-1), (count,)).astype(np.int32)
