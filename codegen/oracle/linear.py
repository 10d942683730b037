# SPDX-License-Identifier: MIT
"""Convolutions and matrix products: QLinearConv, QGemm, QLinearMatMul and their float32 kin.

Integer sums are exact: products of int8 are summed in float64 by BLAS, far below 2^53. ONNX
Runtime's are too, except on x86 without VNNI, where its int8 kernels saturate pairs of products at
16 bits. Float32 sums are rounded once, from float64; ONNX Runtime's own order of additions differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I8, Array
from codegen.ops import ConvF32, ConvS8, DenseF32, DenseS8, MatMulF32, MatMulS8, Requant
from codegen.oracle import mlas
from codegen.oracle.windows import padded, taps

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Shape = tuple[int, ...]


def _float(values: Array) -> F64:
    return values.astype(np.float64)


def _weights(w: Array, w_zp: Array | None) -> F64:
    if w_zp is None:
        return _float(w)
    return _float(w) - _float(w_zp).reshape(-1, *[1] * (w.ndim - 1))


def _convolve(x: F64, w: F64, op: ConvS8 | ConvF32, shape: Shape) -> F64:
    """Sums of products of x[N,H,W,Ci], its zero point taken away, and w[Co,Kh,Kw,Ci/groups]."""
    batch, height, width, channels = shape
    per_group = w.shape[3]
    field = padded(x, op.window, shape, 0)
    total = np.zeros((op.groups, batch * height * width, channels // op.groups))
    kernels = w.reshape(op.groups, channels // op.groups, -1, per_group)
    for index, seen in enumerate(taps(field, op.window, shape)):
        columns = seen.reshape(-1, op.groups, per_group).transpose(1, 0, 2)
        tap = kernels[:, :, index].transpose(0, 2, 1)
        total += columns * tap if per_group == 1 else columns @ tap
    return total.transpose(1, 0, 2).reshape(shape)


def _bias(b: Array | None) -> F64 | float:
    return 0.0 if b is None else _float(b)


def conv_acc(op: ConvS8, shape: Shape, x: Array, w: Array, b: Array | None = None) -> I64:
    """The accumulators of a ConvS8, bias included: [N,Ho,Wo,Co]."""
    total = _convolve(_float(x) - op.requant.in_zp, _weights(w, op.w_zp), op, shape)
    return (total + _bias(b)).astype(np.int64)


def dense_acc(op: DenseS8, shape: Shape, x: Array, w: Array, b: Array | None = None) -> I64:
    """The accumulators of a DenseS8, bias included: [M,N]."""
    total = (_float(x) - op.requant.in_zp) @ _weights(w, op.w_zp).T
    return (total + _bias(b)).astype(np.int64)


def matmul_acc(op: MatMulS8, shape: Shape, a: Array, b: Array) -> I64:
    """The accumulators of a MatMulS8: [B,M,N]."""
    total = (_float(a) - op.requant.in_zp) @ (_float(b) - op.b_zp)
    return np.asarray(total.astype(np.int64))


def requantize(acc: I64, requant: Requant) -> I8:
    """`clamp(rint(f32(acc) * multiplier) + out_zp)`, channels last; MlasRequantizeOutput."""
    with np.errstate(over="ignore"):
        product = acc.astype(np.float32) * requant.multiplier
    return mlas.saturate(np.rint(product), requant.out_zp, requant.lo, requant.hi)


def conv_s8(op: ConvS8, shape: Shape, *inputs: Any) -> I8:
    return requantize(conv_acc(op, shape, *inputs), op.requant)


def dense_s8(op: DenseS8, shape: Shape, *inputs: Any) -> I8:
    return requantize(dense_acc(op, shape, *inputs), op.requant)


def matmul_s8(op: MatMulS8, shape: Shape, *inputs: Any) -> I8:
    return requantize(matmul_acc(op, shape, *inputs), op.requant)


def clamp(values: Array, lo: float, hi: float) -> F32:
    return np.clip(values.astype(np.float32), np.float32(lo), np.float32(hi))


def conv_f32(op: ConvF32, shape: Shape, x: Array, w: Array, b: Array | None = None) -> F32:
    return clamp(_convolve(_float(x), _float(w), op, shape) + _bias(b), op.lo, op.hi)


def dense_f32(op: DenseF32, shape: Shape, x: Array, w: Array, b: Array | None = None) -> F32:
    return clamp(_float(x) @ _float(w).T + _bias(b), op.lo, op.hi)


def matmul_f32(op: MatMulF32, shape: Shape, a: Array, b: Array) -> F32:
    return clamp(np.asarray(_float(a) @ _float(b)), op.lo, op.hi)
