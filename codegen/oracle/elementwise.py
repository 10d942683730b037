# SPDX-License-Identifier: MIT
"""Element by element: QLinearAdd, QLinearMul, Sub and PRelu in float32, tables, activations,
quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from codegen.ir import F32, I8, Array
from codegen.ops import (
    BinaryF32,
    BinaryS8,
    Dequantize,
    FloatBinaryKind,
    LutS8,
    PReluS8,
    Quantize,
    UnaryF32,
)
from codegen.oracle import mlas

Shape = tuple[int, ...]


def binary_s8(op: BinaryS8, shape: Shape, a: Array, b: Array) -> I8:
    match op.kind:
        case "add":
            return _add(op, a, b)
        case "mul":
            return _mul(op, a, b)
        case "sub":
            return _sub(op, a, b)


def _add(op: BinaryS8, a: Array, b: Array) -> I8:
    """QLinearAdd: everything that is constant summed first, then two fused multiply-adds.

    Zero points are added before rounding, in float32. (MLAS on ARM works in fixed point instead and
    differs by at most 1.)
    """
    offset = mlas.file_offset(op.unsigned)
    a_ratio = np.float32(op.a_scale) / np.float32(op.out_scale)
    b_ratio = np.float32(op.b_scale) / np.float32(op.out_scale)
    b_zero = b_ratio * np.float32(op.b_zp + offset)
    zero = mlas.fma(a_ratio, np.float32(op.a_zp + offset), b_zero)
    fixed = np.float32(op.out_zp + offset) - zero
    total = mlas.fma(b.astype(np.float32) + np.float32(offset), b_ratio, fixed)
    total = mlas.fma(a.astype(np.float32) + np.float32(offset), a_ratio, total)
    return mlas.saturate(np.rint(total), -offset, op.lo, op.hi)


def _mul(op: BinaryS8, a: Array, b: Array) -> I8:
    """QLinearMul: an integer product, one ratio, the zero point added before rounding."""
    ratio = np.float32(op.a_scale) * np.float32(op.b_scale) / np.float32(op.out_scale)
    product = (a.astype(np.int32) - op.a_zp) * (b.astype(np.int32) - op.b_zp)
    offset = mlas.file_offset(op.unsigned)
    with np.errstate(over="ignore"):
        real = product.astype(np.float32) * ratio + np.float32(op.out_zp + offset)
    return mlas.saturate(np.rint(real), -offset, op.lo, op.hi)


def _sub(op: BinaryS8, a: Array, b: Array) -> I8:
    """There is no QLinearSub: dequantize, subtract in float32, quantize."""
    difference = mlas.dequantize(a, op.a_scale, op.a_zp) - mlas.dequantize(b, op.b_scale, op.b_zp)
    return mlas.quantize(difference, op.out_scale, op.out_zp, op.lo, op.hi)


def binary_f32(op: BinaryF32, shape: Shape, a: Array, b: Array) -> F32:
    x, y = a.astype(np.float32), b.astype(np.float32)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        result = _FLOAT_BINARY[op.kind](x, y)
    return np.clip(result, np.float32(op.lo), np.float32(op.hi))


_FLOAT_BINARY: Mapping[FloatBinaryKind, Callable[[F32, F32], F32]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "prelu": mlas.prelu,
}


def prelu_s8(op: PReluS8, shape: Shape, x: Array, slope: Array) -> I8:
    real = mlas.prelu(mlas.dequantize(x, op.in_scale, op.in_zp), slope.astype(np.float32))
    return mlas.quantize(real, op.out_scale, op.out_zp, op.lo, op.hi)


def lut_s8(op: LutS8, shape: Shape, x: Array, table: Array) -> I8:
    return np.asarray(table[x.astype(np.int32) + 128], np.int8)


def unary_f32(op: UnaryF32, shape: Shape, x: Array) -> F32:
    values = x.astype(np.float32)
    match op.kind:
        case "clip":
            return np.clip(values, np.float32(op.p0), np.float32(op.p1))
        case "leakyrelu":
            return mlas.leakyrelu(values, op.p0)
        case "hardswish":
            return mlas.hardswish(values)
        case "hardsigmoid":
            return mlas.hardsigmoid(values, op.p0, op.p1)
        case "sigmoid":
            return mlas.logistic(values)
        case "tanh":
            return mlas.tanh(values)
        case "erf":
            return mlas.erf(values)
        case "gelu":
            return mlas.gelu(values)
        case "gelu_tanh":
            return mlas.gelu_tanh(values)


def quantize(op: Quantize, shape: Shape, x: Array) -> I8:
    return mlas.quantize(x.astype(np.float32), op.scale, op.zp)


def dequantize(op: Dequantize, shape: Shape, x: Array) -> F32:
    return mlas.dequantize(x, op.scale, op.zp)
