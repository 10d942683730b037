# SPDX-License-Identifier: MIT
"""Sliding windows over x[N,H,W,C]: the view of the input that each tap of a kernel sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from codegen.ops import Window

Values = npt.NDArray[Any]


def padded(x: Values, window: Window, out_shape: tuple[int, ...], fill: float) -> Values:
    """`x` with `fill` around it, as far as the windows of `out_shape` reach."""
    top, left, _, _ = window.pads
    bottom, right = (
        max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - before - size)
        for out, stride, kernel, dilation, before, size in zip(
            out_shape[1:3], window.strides, window.kernel, window.dilations, (top, left),
            x.shape[1:3], strict=True,
        )
    )  # fmt: skip
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def taps(x: Values, window: Window, out_shape: tuple[int, ...]) -> Iterator[Values]:
    """For each kernel position, rows first, the [N,Ho,Wo,C] elements of a padded `x` under it."""
    (stride_h, stride_w), (step_h, step_w) = window.strides, window.dilations
    out_h, out_w = out_shape[1:3]
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            top, left = row * step_h, column * step_w
            yield x[
                :,
                top : top + (out_h - 1) * stride_h + 1 : stride_h,
                left : left + (out_w - 1) * stride_w + 1 : stride_w,
            ]
