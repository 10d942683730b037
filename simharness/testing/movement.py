# SPDX-License-Identifier: MIT
"""Hypothesis strategies for layers that move elements and compute nothing."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from codegen import ops
from codegen.ir import Array
from simharness.testing.values import (
    Case,
    case,
    dtype_of,
    float_values,
    int8_values,
    shapes,
)


@st.composite
def either_values(draw: DrawFn, shape: tuple[int, ...]) -> Array:
    if draw(st.booleans()):
        return draw(int8_values(shape))
    return draw(float_values(shape))


@st.composite
def copy(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes())))
    return case(ops.Copy(), {"x": x}, {}, x.shape, dtype_of(x))


@st.composite
def transpose(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes(6, 4))))
    perm = tuple(draw(st.permutations(range(x.ndim))))
    y_shape = tuple(x.shape[axis] for axis in perm)
    return case(ops.Transpose(perm), {"x": x}, {}, y_shape, dtype_of(x))


@st.composite
def slices(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes(6, 6))))
    starts, steps, y_shape = [], [], []
    for size in x.shape:
        start = draw(st.integers(0, size - 1))
        step = draw(st.sampled_from([1, 1, 2, -1, -2]))
        longest = (size - 1 - start) // step + 1 if step > 0 else start // -step + 1
        starts.append(start)
        steps.append(step)
        y_shape.append(draw(st.integers(1, longest)))
    op = ops.Slice(tuple(starts), tuple(steps))
    return case(op, {"x": x}, {}, tuple(y_shape), dtype_of(x))


@st.composite
def concat(draw: DrawFn) -> Case:
    shape = draw(shapes())
    axis = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(1, 4))
    values: SearchStrategy[Any] = st.just(None)
    kind = draw(st.sampled_from([int8_values, float_values]))
    parts: dict[str, Array] = {}
    for index in range(count):
        size = draw(st.integers(1, 4))
        values = kind((*shape[:axis], size, *shape[axis + 1 :]))
        parts[f"p{index}"] = draw(values)
    fixed = draw(st.sampled_from([None, *parts])) if count > 1 else None
    total = sum(part.shape[axis] for part in parts.values())
    y_shape = (*shape[:axis], total, *shape[axis + 1 :])
    activations = {n: v for n, v in parts.items() if n != fixed}
    constants = {n: v for n, v in parts.items() if n == fixed}
    dtype = dtype_of(parts["p0"])
    return case(ops.Concat(axis), activations, constants, y_shape, dtype, tuple(parts))


@st.composite
def pad(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes())))
    modes: list[Literal["constant", "reflect", "edge"]] = ["constant", "reflect", "edge"]
    mode = draw(st.sampled_from(modes))
    before, after = [], []
    for size in x.shape:
        most = size - 1 if mode == "reflect" else 3
        least = 1 - size if mode == "constant" and draw(st.booleans()) else 0
        before.append(draw(st.integers(min(least, 0), most)))
        after.append(draw(st.integers(max(min(least, 0), 1 - size - min(before[-1], 0)), most)))
    value = float(draw(st.integers(-128, 127)))
    op = ops.Pad(tuple(before), tuple(after), mode, value)
    y_shape = tuple(b + s + a for b, s, a in zip(before, x.shape, after, strict=True))
    return case(op, {"x": x}, {}, y_shape, dtype_of(x))


@st.composite
def resize(draw: DrawFn) -> Case:
    n, h, w, c = draw(st.tuples(*[st.integers(1, 5)] * 4))
    x = draw(either_values((n, h, w, c)))
    rows = tuple(draw(st.lists(st.integers(0, h - 1), min_size=1, max_size=7)))
    cols = tuple(draw(st.lists(st.integers(0, w - 1), min_size=1, max_size=7)))
    op = ops.Resize(rows, cols)
    return case(op, {"x": x}, {}, (n, len(rows), len(cols), c), dtype_of(x))
