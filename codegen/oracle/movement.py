# SPDX-License-Identifier: MIT
"""Operators that only move or compare values."""

from __future__ import annotations

import numpy as np

from codegen.ir import Array
from codegen.ops import ArgMax, Concat, Copy, FlipSign, Pad, Resize, Slice, Transpose, View

Shape = tuple[int, ...]


def flip_sign(op: FlipSign, shape: Shape, x: Array) -> Array:
    other = np.int8 if x.dtype == np.uint8 else np.uint8
    return (x.view(np.uint8) ^ np.uint8(0x80)).view(other)


def reshape(op: View | Copy, shape: Shape, x: Array) -> Array:
    return x.reshape(shape)


def transpose(op: Transpose, shape: Shape, x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(op.perm))


def concat(op: Concat, shape: Shape, *inputs: Array) -> Array:
    return np.concatenate(inputs, axis=op.axis)


def slice_(op: Slice, shape: Shape, x: Array) -> Array:
    for axis, (start, step, size) in enumerate(zip(op.starts, op.steps, shape, strict=True)):
        x = x.take(start + step * np.arange(size), axis=axis)
    return x


def pad(op: Pad, shape: Shape, x: Array) -> Array:
    """Negative padding crops."""
    ends = list(zip(op.before, op.after, x.shape, strict=True))
    x = x[tuple(slice(max(0, -before), size - max(0, -after)) for before, after, size in ends)]
    width = [(max(0, before), max(0, after)) for before, after, _ in ends]
    if op.mode == "constant":
        return np.pad(x, width, constant_values=x.dtype.type(op.value))
    return np.pad(x, width, mode=op.mode)


def argmax(op: ArgMax, shape: Shape, x: Array) -> Array:
    if op.last:
        return np.asarray(x.shape[-1] - 1 - np.argmax(x[..., ::-1], axis=-1), np.int64)
    return np.asarray(np.argmax(x, axis=-1), np.int64)


def resize(op: Resize, shape: Shape, x: Array) -> Array:
    return x[:, list(op.rows)][:, :, list(op.cols)]
