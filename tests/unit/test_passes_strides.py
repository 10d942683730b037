# SPDX-License-Identifier: MIT
"""The layout algebra: reshapes and transposes that cancel, and the few that cannot be expressed."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codegen.passes.strides import (
    Layout,
    base_order,
    dense,
    factors_of,
    inverse,
    is_dense,
    offsets,
    reshaped,
    shape_of,
    transposed,
)


def indices(layout: Layout) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """The base offset of every element, in the tensor's own order and shape."""
    return offsets(f for axis in layout for f in axis).reshape(shape_of(layout))


def test_nhwc_memory_seen_channels_first_and_back() -> None:
    nchw = transposed(dense((1, 4, 5, 3)), (0, 3, 1, 2))
    assert shape_of(nchw) == (1, 3, 4, 5)
    assert not is_dense(nchw)
    assert base_order(nchw) == (0, 2, 3, 1)
    assert is_dense(transposed(nchw, (0, 2, 3, 1)))


def test_a_permuting_flatten_is_expressed_by_two_factors() -> None:
    nchw = transposed(dense((1, 4, 5, 3)), (0, 3, 1, 2))
    flat = reshaped(nchw, (1, 60))
    assert flat is not None and factors_of(flat) == ((3, 1), (20, 3))
    assert base_order(flat) is None
    again = reshaped(flat, (1, 3, 4, 5))
    assert again == nchw


def test_an_uneven_split_cannot_be_expressed() -> None:
    turned = transposed(dense((4, 6)), (1, 0))
    assert reshaped(turned, (8, 3)) is None


def test_axes_of_size_one_never_matter() -> None:
    assert is_dense(transposed(dense((1, 7, 1, 3)), (2, 1, 0, 3)))


@given(st.data())
def test_views_and_transposes_move_elements_as_numpy_does(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4)))
    layout: Layout = dense(shape)
    array = np.arange(prod(shape)).reshape(shape)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            perm = data.draw(st.permutations(range(array.ndim)))
            layout, array = transposed(layout, perm), array.transpose(perm)
            assert inverse(inverse(perm)) == tuple(perm)
        else:
            new = regrouped(data, array.shape)
            viewed = reshaped(layout, new)
            if viewed is None:
                break
            layout, array = viewed, array.reshape(new)
        assert np.array_equal(indices(layout), array)
        assert is_dense(layout) == np.array_equal(array.reshape(-1), np.arange(array.size))
        order = base_order(layout)
        if order is not None:
            assert is_dense(transposed(layout, order))


def regrouped(data: st.DataObject, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of the same size: primes in order, grouped at random."""
    primes = [p for size in shape for p in {1: [1], 2: [2], 3: [3], 4: [2, 2]}.get(size, [size])]
    groups: list[int] = [1]
    for prime in primes:
        if data.draw(st.booleans()):
            groups.append(prime)
        else:
            groups[-1] *= prime
    return tuple(groups)
