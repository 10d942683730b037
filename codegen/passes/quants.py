# SPDX-License-Identifier: MIT
"""Arithmetic on quantization parameters that several passes share, in ONNX Runtime's float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.ir import F32, I8, Array, Node, OnnxOp, Quant, Tensor
from codegen.ops import Dequantize
from codegen.passes.attributes import integer
from codegen.passes.edit import Edit


def quantized(values: Array | float, scale: float, zero_point: int) -> I8:
    """QuantizeLinear to int8: divide in float32, round half to even, add, saturate."""
    with np.errstate(over="ignore"):
        real = np.asarray(values, np.float32) / np.float32(scale)
    integers: I8 = np.clip(np.rint(real) + np.float32(zero_point), -128, 127).astype(np.int8)
    return integers


def dequantized(tensor: Tensor) -> F32:
    """The real value of a quantized constant."""
    assert tensor.data is not None and tensor.quant is not None
    quant = tensor.quant
    shape = [1] * tensor.data.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    offset = tensor.data.astype(np.int32) - quant.zero_point.reshape(shape)
    return offset.astype(np.float32) * quant.scale.reshape(shape)


def literal(edit: Edit, name: str) -> Tensor | None:
    """The constant behind `name`: a plain one, or the quantized one below its DequantizeLinear."""
    if not name:
        return None
    maker = edit.maker(name)
    if maker is not None and isinstance(maker.op, OnnxOp) and maker.op.type == "DequantizeLinear":
        return edit.tensor(maker.inputs[0])
    tensor = edit.tensor(name)
    return tensor if tensor.data is not None else None


def real_literal(edit: Edit, name: str) -> F32 | None:
    """The float32 value of the constant behind `name`, if it is one."""
    tensor = literal(edit, name)
    if tensor is None or tensor.data is None:
        return None
    return dequantized(tensor) if tensor.quant is not None else tensor.data.astype(np.float32)


def clip_range(edit: Edit, node: Node) -> tuple[float, float] | None:
    """The range of a Relu or of a Clip with constant limits, else None."""
    if not isinstance(node.op, OnnxOp) or node.op.type not in ("Relu", "Clip"):
        return None
    if node.op.type == "Relu":
        return 0.0, float("inf")
    limits = [-float("inf"), float("inf")]
    for index, name in enumerate(node.inputs[1:3]):
        if name:
            value = real_literal(edit, name)
            if value is None:
                return None
            limits[index] = float(value.reshape(-1)[0])
    return limits[0], limits[1]


def per_tensor(quant: Quant | None) -> bool:
    return quant is not None and quant.axis is None


def int8_source(edit: Edit, name: str) -> tuple[str, Dequantize] | None:
    """The int8 tensor and parameters behind a float operand that comes from a Dequantize."""
    maker = edit.maker(name)
    if maker is None or not isinstance(maker.op, Dequantize):
        return None
    return maker.inputs[0], maker.op


def int8_operand(edit: Edit, name: str) -> tuple[str, Dequantize] | None:
    """As `int8_source`, but a dequantized constant will do as well."""
    found = int8_source(edit, name)
    maker = edit.maker(name)
    if found is not None or maker is None or not isinstance(maker.op, OnnxOp):
        return found
    if maker.op.type != "DequantizeLinear":
        return None
    constant = edit.tensor(maker.inputs[0])
    if constant.dtype != "int8" or constant.quant is None or not per_tensor(constant.quant):
        return None
    quant = constant.quant
    unsigned = bool(integer(maker.op, "unsigned", 0))
    return constant.name, Dequantize(float(quant.scale), int(quant.zero_point), unsigned)


def parameters(edit: Edit, node: Node, op: OnnxOp) -> Quant:
    """The parameters of a node that `codegen.load` has already found to be sound."""
    scale = edit.constant(node.inputs[1])
    assert scale is not None and scale.dtype == np.float32
    zero_point = edit.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    integers = np.zeros(scale.shape, np.int32) if zero_point is None else zero_point
    if scale.size == 1:
        return Quant(scale.astype(np.float32).reshape(()), integers.astype(np.int32).reshape(()))
    rank = len(edit.tensor(node.inputs[0]).shape)
    axis = integer(op, "axis", 1) % rank
    return Quant(scale.astype(np.float32), integers.astype(np.int32), axis)


def known_value(edit: Edit, name: str) -> Array | None:
    """The value of a constant, also behind a DequantizeLinear that is not lowered yet."""
    if not name:
        return None
    maker, data = edit.maker(name), edit.constant(name)
    if maker is None or not isinstance(maker.op, OnnxOp) or maker.op.type != "DequantizeLinear":
        return data
    data = edit.constant(maker.inputs[0])
    if data is None:
        return None
    quant = parameters(edit, maker, maker.op)
    return dequantized(replace(edit.tensor(maker.inputs[0]), quant=quant))


def quantized_constant(edit: Edit, node: Node, op: OnnxOp) -> Array:
    """What a QuantizeLinear makes of a constant."""
    data = known_value(edit, node.inputs[0])
    assert data is not None
    quant = parameters(edit, node, op)
    shape = [1] * data.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    limits = np.iinfo(edit.tensor(node.outputs[0]).dtype)
    real = data.astype(np.float32) / quant.scale.reshape(shape)
    integers = np.rint(real).astype(np.float64) + quant.zero_point.reshape(shape)
    result: Array = np.clip(integers, limits.min, limits.max).astype(limits.dtype)
    return result
