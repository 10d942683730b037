# SPDX-License-Identifier: MIT
"""Softmax over the last axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I8, Array
from codegen.ops import SoftmaxF32, SoftmaxS8
from codegen.oracle import mlas

Shape = tuple[int, ...]


def exponentials(in_scale: float, columns: int) -> F32:
    """QLinearSoftmax's table for the distances -255..0 from a row's maximum.

    Exponentials are scaled up, e^5 short of where a row of `columns` largest ones would overflow.
    """
    scale = float(np.float32(in_scale))
    room = float(np.log(np.finfo(np.float32).max / np.float32(columns)))
    lift = max(0.0, room - 5) / scale
    return np.asarray(np.exp((np.arange(256) - 255 + lift) * scale), np.float32)


def softmax_s8(op: SoftmaxS8, shape: Shape, x: Array) -> I8:
    """QLinearSoftmax: table look-ups, summed in float32 from the left, then scaled and divided.

    An output scale so fine that the scaled exponential overflows gives the least integer, as there.
    """
    table = exponentials(op.in_scale, shape[-1])
    q = x.astype(np.int32)
    e = table[q - q.max(axis=-1, keepdims=True) + 255]
    total = np.add.accumulate(e, axis=-1, dtype=np.float32)[..., -1:]
    levels = np.floor(np.float32(1) / np.float32(op.out_scale))
    with np.errstate(over="ignore"):
        y = np.rint(e * levels / total)
    return mlas.saturate(np.where(np.isfinite(y), y, -np.inf), op.out_zp)


def softmax_f32(op: SoftmaxF32, shape: Shape, x: Array) -> F32:
    real: npt.NDArray[np.float64] = x.astype(np.float64)
    shifted = real - real.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=-1, keepdims=True)
    result = shifted - np.log(total) if op.log else e / total
    return np.asarray(result, np.float32)
