# SPDX-License-Identifier: MIT
"""Pooling over H and W: MaxPool, QLinearAveragePool, QLinearGlobalAveragePool, means in float32.

A ReduceMean between DequantizeLinear and QuantizeLinear runs in float32, so that its order of
additions shows where a mean falls between two integers. Two orders are known here, "mean" and
"packed"; see `codegen.ops.AvgPoolS8`. ONNX Runtime has a third one, for reduced axes with kept ones
of more than one element on either side: results then differ by at most 1 (measured: 0.5 % of them
where input and output have the same scale, which makes ties; 0.03 % elsewhere).
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from codegen.ir import F32, I8, Array
from codegen.ops import AvgPoolF32, AvgPoolS8, MaxPool, Requant
from codegen.oracle import mlas
from codegen.oracle.linear import clamp, requantize
from codegen.oracle.windows import padded, taps

Shape = tuple[int, ...]


def maxpool(op: MaxPool, shape: Shape, x: Array) -> Array:
    field = padded(x, op.window, shape, -128 if x.dtype == np.int8 else -np.inf)
    result = None
    for seen in taps(field, op.window, shape):
        result = seen if result is None else np.maximum(result, seen)
    assert result is not None
    return np.ascontiguousarray(result)


def avgpool_s8(op: AvgPoolS8, shape: Shape, x: Array) -> I8:
    if op.form == "global":
        return _global(op, x)
    real = mlas.dequantize(x, op.in_scale, op.in_zp)
    seen = taps(padded(real, op.window, shape, 0.0), op.window, shape)
    if op.form == "packed":
        total = _packed_sums(np.stack([*seen]))
    else:
        total = reduce(np.add, seen, np.zeros(shape, np.float32))
    mean = total / _count(op, shape, x)
    if op.form == "window":
        offset = mlas.file_offset(op.unsigned)
        with np.errstate(over="ignore"):
            ratio = mean / np.float32(op.out_scale) + np.float32(op.out_zp + offset)
        return mlas.saturate(np.rint(ratio), -offset, op.lo, op.hi)
    return mlas.quantize(mean, op.out_scale, op.out_zp, op.lo, op.hi)


def _packed_sums(elements: F32) -> F32:
    """Sums over the first of [K,N,Ho,1,C] as Eigen adds K floats that lie side by side.

    Sums start at 16-byte boundaries: what is before the first and behind the last is added last. In
    between, two registers of four lanes take turns. Rows of K follow each other without gaps.
    """
    count, batch, height, _, channels = elements.shape
    rows = elements.transpose(1, 4, 2, 3, 0).reshape(-1, count)
    totals = np.empty(len(rows), np.float32)
    heads = np.minimum(-count * np.arange(len(rows)) % 4, count)
    for head in np.unique(heads):
        chosen = heads == head
        totals[chosen] = _lanes(rows[chosen], int(head))
    return totals.reshape(batch, channels, height, 1).transpose(0, 2, 3, 1)


def _lanes(rows: F32, head: int) -> F32:
    """The sum of each row of [R,K], the first aligned element being `head`."""
    packs = (rows.shape[1] - head) // 4
    tail = head + 4 * packs
    if not packs:
        return _in_order(rows)
    middle = rows[:, head:tail].reshape(len(rows), packs, 4)
    pairs = packs // 2 * 2
    lanes = _in_order(middle[:, :pairs:2].transpose(0, 2, 1))
    lanes = lanes + _in_order(middle[:, 1:pairs:2].transpose(0, 2, 1))
    if packs % 2:
        lanes = lanes + middle[:, -1]
    total = (lanes[:, 0] + lanes[:, 2]) + (lanes[:, 1] + lanes[:, 3])
    rest = np.concatenate([total[:, None], rows[:, :head], rows[:, tail:]], axis=1)
    return _in_order(rest)


def _in_order(values: F32) -> F32:
    """The sum over the last axis, one element after the other."""
    return reduce(np.add, np.moveaxis(values, -1, 0), np.zeros(values.shape[:-1], np.float32))


def _global(op: AvgPoolS8, x: Array) -> I8:
    """Integer sums and one float32 ratio, as in a convolution."""
    pixels = x.shape[1] * x.shape[2]
    acc = (x.astype(np.int64) - op.in_zp).sum(axis=(1, 2), keepdims=True)
    ratio = np.float32(op.in_scale) / (np.float32(op.out_scale) * np.float32(pixels))
    multiplier = np.full(1, ratio, np.float32)
    return requantize(acc, Requant(multiplier, op.in_zp, op.out_zp, op.lo, op.hi))


def _count(op: AvgPoolS8, shape: Shape, x: Array) -> F32:
    """How many elements each output averages: all of the window, or those inside the image."""
    if op.count_include_pad:
        return np.full(1, op.window.kernel[0] * op.window.kernel[1], np.float32)
    inside = padded(np.ones((1, *x.shape[1:3], 1), np.float32), op.window, shape, 0)
    return np.asarray(sum(taps(inside, op.window, (1, *shape[1:3], 1))), np.float32)


def avgpool_f32(op: AvgPoolF32, shape: Shape, x: Array) -> F32:
    """The mean of what is inside; with `count_include_pad`, padding counts, what is beyond not."""
    top, left, bottom, right = op.window.pads
    area = np.ones((1, *x.shape[1:3], 1))
    if op.count_include_pad:
        area = np.pad(area, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=1)
        area = padded(area, replace(op.window, pads=(0, 0, 0, 0)), shape, 0)
    else:
        area = padded(area, op.window, shape, 0)
    total = sum(taps(padded(x.astype(np.float64), op.window, shape, 0), op.window, shape))
    mean = total / sum(taps(area, op.window, (1, *shape[1:3], 1)))
    return clamp(np.asarray(mean), op.lo, op.hi)
