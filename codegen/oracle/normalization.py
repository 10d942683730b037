# SPDX-License-Identifier: MIT
"""LayerNormalization in float32 with MLAS' sums on x86 with FMA, to the bit from 8 columns on.

Fewer columns, and all on ARM, are summed in another way there: between DequantizeLinear and
QuantizeLinear, results then differ by at most 1, and rarely.
"""

from __future__ import annotations

import numpy as np

from codegen.ir import F32, Array
from codegen.ops import LayerNormF32
from codegen.oracle.mlas import fma

Shape = tuple[int, ...]


def layer_norm_f32(
    op: LayerNormF32, shape: Shape, x: Array, scale: Array, bias: Array | None = None
) -> F32:
    """A mean rounded once; squares in eight lanes; one fused multiply-add for scale and bias."""
    values, factors = x.astype(np.float32), scale.astype(np.float32)
    count = np.float32(values.shape[1])
    mean = values.astype(np.float64).mean(axis=1, keepdims=True).astype(np.float32)
    centred = values - mean
    variance = _squares(centred) / count
    normal = centred * (np.float32(1) / np.sqrt(variance + np.float32(op.epsilon)))
    factors = np.broadcast_to(factors, normal.shape)
    if bias is None:
        scaled: F32 = normal * factors
        return scaled
    return fma(normal, factors, np.broadcast_to(bias.astype(np.float32), normal.shape))


def _squares(values: F32) -> F32:
    """The sum of squares of each row [M,1]: lanes first, their halves upon each other, the rest.

    If four or more are left, the compiler has squared the first four together, unfused.
    """
    columns = values.shape[1]
    whole, fours = columns // 8 * 8, columns // 4 * 4
    lanes = np.zeros((len(values), 8), np.float32)
    for start in range(0, whole, 8):
        part = values[:, start : start + 8]
        lanes = fma(part, part, lanes)
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    for place in range(whole, columns):
        part = values[:, place : place + 1]
        lanes = lanes + part * part if place < fours else fma(part, part, lanes)
    return lanes
