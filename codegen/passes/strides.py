# SPDX-License-Identifier: MIT
"""A small algebra of reshapes and transposes, in which most of them cancel.

A `Layout` says how a tensor's elements lie in a dense base buffer: for each axis, from the outer to
the inner, factors (size, stride in elements). Transposing permutes axes; reshaping regroups
factors, and fails only where a factor would have to be split unevenly. For example NHWC memory seen
as [N, C, H, W] is ((N, HWC),) ((C, 1),) ((H, WC),) ((W, C),).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod

import numpy as np
import numpy.typing as npt

Factor = tuple[int, int]
Layout = tuple[tuple[Factor, ...], ...]


def dense(shape: Sequence[int]) -> Layout:
    """Row-major order."""
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return tuple(_merged([pair]) for pair in zip(shape, strides, strict=True))


def shape_of(layout: Layout) -> tuple[int, ...]:
    return tuple(prod(size for size, _ in axis) for axis in layout)


def factors_of(layout: Layout) -> tuple[Factor, ...]:
    """All factors in the tensor's own order, neighbours merged where memory allows."""
    return _merged(chain.from_iterable(layout))


def is_dense(layout: Layout) -> bool:
    """Whether the tensor's order is the base's own."""
    factors = factors_of(layout)
    return not factors or (len(factors) == 1 and factors[0][1] == 1)


def transposed(layout: Layout, perm: Sequence[int]) -> Layout:
    return tuple(layout[axis] for axis in perm)


def reshaped(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout after a reshape to `shape` of the same size; None where it cannot be expressed."""
    waiting = list(reversed(factors_of(layout)))
    axes: list[tuple[Factor, ...]] = []
    for size in shape:
        axis: list[Factor] = []
        while size > 1:
            factor, stride = waiting.pop()
            if size % factor == 0:
                axis.append((factor, stride))
                size //= factor
            elif factor % size == 0:
                inner = factor // size
                axis.append((size, stride * inner))
                waiting.append((inner, stride))
                size = 1
            else:
                return None
        axes.append(_merged(axis))
    return tuple(axes)


def base_order(layout: Layout) -> tuple[int, ...] | None:
    """The permutation of axes that makes the layout dense; None where no permutation does."""
    if any(len(axis) > 1 for axis in layout):
        return None
    key = {index: axis[0][1] for index, axis in enumerate(layout) if axis}
    units = [index for index, axis in enumerate(layout) if not axis]
    perm = (*units, *sorted(key, key=lambda index: -key[index]))
    return perm if is_dense(transposed(layout, perm)) else None


def offsets(axis: Iterable[Factor]) -> npt.NDArray[np.intp]:
    """The base offset of each index along one axis."""
    result = np.zeros(1, np.intp)
    for size, stride in axis:
        result = (result[:, None] + np.arange(size, dtype=np.intp) * stride).reshape(-1)
    return result


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    return tuple(perm.index(axis) for axis in range(len(perm)))


def _merged(factors: Iterable[Factor]) -> tuple[Factor, ...]:
    result: list[Factor] = []
    for size, stride in factors:
        if size == 1:
            continue
        if result and result[-1][1] == size * stride:
            result[-1] = (result[-1][0] * size, stride)
        else:
            result.append((size, stride))
    return tuple(result)
