# SPDX-License-Identifier: MIT
"""Hypothesis strategies for what layers are made of: values, scales, clamps, windows.

Values come from a seed, so that shrinking works on shapes and parameters and a failing example
prints in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from codegen import ops, oracle
from codegen.ir import F32, I32, Array, DType, Graph, Node, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A one-node graph and the values of its inputs."""

    graph: Graph
    values: Mapping[str, Array]

    @property
    def node(self) -> Node:
        return self.graph.nodes[0]

    def __repr__(self) -> str:
        shapes = {name: (t.dtype, t.shape) for name, t in self.graph.tensors.items()}
        return f"Case({self.node.op!r}, {shapes})"


def case(
    op: ops.Op,
    activations: Mapping[str, Array],
    constants: Mapping[str, Array | None],
    y_shape: tuple[int, ...],
    y_dtype: DType,
    order: tuple[str, ...] = (),
) -> Case:
    """A case whose node takes activations, then constants (None: absent), or `order`."""
    tensors = {n: Tensor(n, v.shape, dtype_of(v)) for n, v in activations.items()}
    given = {n: v for n, v in constants.items() if v is not None}
    tensors |= {n: Tensor(n, v.shape, dtype_of(v), v) for n, v in given.items()}
    tensors["y"] = Tensor("y", y_shape, y_dtype)
    names = order or (*activations, *(n if n in given else "" for n in constants))
    node = Node("layer", op, names, ("y",), ("layer",))
    return Case(Graph("case", tensors, (node,), tuple(activations), ("y",)), activations)


def dtype_of(value: Array) -> DType:
    """The tensor type of an array."""
    return value.dtype.name  # type: ignore[return-value]


# --- values


def seeds() -> SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


@st.composite
def int8_values(draw: DrawFn, shape: tuple[int, ...]) -> Array:
    """Uniform, or nothing but the ends of the range (largest sums), or small."""
    rng = np.random.default_rng(draw(seeds()))
    match draw(st.sampled_from(["uniform", "ends", "small"])):
        case "ends":
            return rng.choice(np.array([-128, 127], np.int8), shape)
        case "small":
            return rng.integers(-3, 4, shape).astype(np.int8)
        case _:
            return rng.integers(-128, 128, shape).astype(np.int8)


@st.composite
def float_values(draw: DrawFn, shape: tuple[int, ...], largest: float = 4.0) -> F32:
    rng = np.random.default_rng(draw(seeds()))
    return (rng.standard_normal(shape) * largest / 3).astype(np.float32)


def zero_points() -> SearchStrategy[int]:
    return st.one_of(st.sampled_from([0, -128, 127]), st.integers(-128, 127))


@st.composite
def scales(draw: DrawFn, low: float = -10.0, high: float = 0.0) -> float:
    """A positive float32: any, or a power of two or three times one, which make exact ties."""
    exponent = draw(st.floats(low, high, width=32))
    match draw(st.sampled_from(["any", "two", "three"])):
        case "two":
            return float(2.0 ** round(exponent))
        case "three":
            return float(3.0 * 2.0 ** round(exponent))
        case _:
            return float(np.float32(2.0**exponent))


@st.composite
def clamps(draw: DrawFn) -> tuple[int, int]:
    """The whole range of int8, mostly; or a part of it; or a single value."""
    match draw(st.sampled_from(["all", "all", "part", "any"])):
        case "part":
            return draw(st.integers(-128, -20)), draw(st.integers(20, 127))
        case "any":
            lo = draw(st.integers(-128, 127))
            return lo, draw(st.integers(lo, 127))
        case _:
            return -128, 127


@st.composite
def real_clamps(draw: DrawFn) -> tuple[float, float]:
    return draw(st.sampled_from([(-ops.INF, ops.INF), (0.0, ops.INF), (0.0, 6.0), (-1.0, 1.0)]))


@st.composite
def requants(draw: DrawFn, channels: int) -> ops.Requant:
    """Zero points, clamp, and one multiplier or one per channel: 1, until `calibrated`."""
    count = channels if draw(st.booleans()) else 1
    lo, hi = draw(clamps())
    ones = np.ones(count, np.float32)
    return ops.Requant(ones, draw(zero_points()), draw(zero_points()), lo, hi)


def calibrated(draw: DrawFn, drawn: Case) -> Case:
    """The case with multipliers that spread its sums over int8's range, mostly."""
    sums = oracle.accumulators(drawn.node, drawn.graph, drawn.values)
    assert sums is not None
    op = drawn.node.op
    assert isinstance(op, ops.ConvS8 | ops.DenseS8 | ops.MatMulS8)
    spread = draw(st.sampled_from([100.0, 100.0, 100.0, 200.0, 10.0, 1e4, 1e-3]))
    rng = np.random.default_rng(draw(seeds()))
    jitter = rng.uniform(0.7, 1.0, op.requant.multiplier.size)
    multiplier = (spread * jitter / max(1.0, float(np.abs(sums).max()))).astype(np.float32)
    if draw(st.integers(0, 3)) == 0:
        multiplier = (2.0 ** np.round(np.log2(multiplier))).astype(np.float32)
    if draw(st.integers(0, 4)) == 0:  # as weights with a negative scale have it
        multiplier *= rng.choice(np.array([-1, 1], np.float32), multiplier.size)
    node = replace(drawn.node, op=replace(op, requant=replace(op.requant, multiplier=multiplier)))
    return replace(drawn, graph=replace(drawn.graph, nodes=(node,)))


@st.composite
def biases(draw: DrawFn, channels: int, depth: int) -> I32 | None:
    rng = np.random.default_rng(draw(seeds()))
    largest = draw(st.sampled_from([0, 100, 64 * depth, 64 * 64 * depth, 2**30]))
    if largest == 0:
        return None
    return rng.integers(-largest, largest, channels, endpoint=True).astype(np.int32)


@st.composite
def weight_zero_points(draw: DrawFn, channels: int) -> I32 | None:
    if draw(st.booleans()):
        return None
    rng = np.random.default_rng(draw(seeds()))
    each = rng.integers(-128, 128, channels if draw(st.booleans()) else 1)
    return np.broadcast_to(each, (channels,)).astype(np.int32)


# --- shapes


@st.composite
def windows(draw: DrawFn, *, pool: bool = False) -> tuple[ops.Window, tuple[int, int, int, int]]:
    """A window and (H, W, Ho, Wo), at least one output pixel; a pool pads less than its kernel."""
    sides = []
    for _ in range(2):
        kernel = draw(st.integers(1, 4))
        dilation = 1 if pool else draw(st.sampled_from([1, 2]))
        stride = draw(st.integers(1, 3))
        span = dilation * (kernel - 1) + 1
        most = kernel - 1 if pool else 3
        before, after = draw(st.integers(0, most)), draw(st.integers(0, most))
        size = draw(st.integers(max(1, span - before - after), 8))
        sides.append((kernel, stride, before, after, dilation, size,
                      (size + before + after - span) // stride + 1))  # fmt: skip
    h, w = sides
    window = ops.Window((h[0], w[0]), (h[1], w[1]), (h[2], w[2], h[3], w[3]), (h[4], w[4]))
    return window, (h[5], w[5], h[6], w[6])


# --- layers


@st.composite
def shapes(draw: DrawFn, most: int = 4, largest: int = 6) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(1, largest), min_size=1, max_size=most)))
