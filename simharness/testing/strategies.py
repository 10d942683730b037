# SPDX-License-Identifier: MIT
"""Hypothesis strategies for layers and quantization parameters: one-node graphs with values.

`CASES[kernel]` draws a `Case` that the reference of that name runs. Shapes are small and awkward
(odd channels, windows larger than the input, padding on one side); values come from a seed, so that
shrinking works on shapes and parameters and a failing example prints in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

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
    tensors = {n: Tensor(n, v.shape, _dtype(v)) for n, v in activations.items()}
    given = {n: v for n, v in constants.items() if v is not None}
    tensors |= {n: Tensor(n, v.shape, _dtype(v), v) for n, v in given.items()}
    tensors["y"] = Tensor("y", y_shape, y_dtype)
    names = order or (*activations, *(n if n in given else "" for n in constants))
    node = Node("layer", op, names, ("y",), ("layer",))
    return Case(Graph("case", tensors, (node,), tuple(activations), ("y",)), activations)


def _dtype(value: Array) -> DType:
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


def _conv_shapes(draw: DrawFn, depthwise: bool) -> tuple[Any, ...]:
    window, (h, w, ho, wo) = draw(windows())
    if depthwise:
        groups = draw(st.integers(2, 9))
        group_in, group_out = 1, draw(st.sampled_from([1, 1, 2, 3]))
    else:
        groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
        group_in = draw(st.integers(2 if groups > 1 else 1, 9))
        group_out = draw(st.integers(1, 7))
    batch = draw(st.sampled_from([1, 1, 2]))
    x_shape = (batch, h, w, groups * group_in)
    w_shape = (groups * group_out, *window.kernel, group_in)
    return window, groups, x_shape, w_shape, (batch, ho, wo, groups * group_out)


@st.composite
def conv_s8(draw: DrawFn, depthwise: bool = False) -> Case:
    window, groups, x_shape, w_shape, y_shape = _conv_shapes(draw, depthwise)
    depth = prod(w_shape[1:])
    op = ops.ConvS8(
        window,
        groups,
        draw(requants(y_shape[3])),
        draw(weight_zero_points(y_shape[3])),
    )
    constants = {"w": draw(int8_values(w_shape)), "b": draw(biases(y_shape[3], depth))}
    drawn = case(op, {"x": draw(int8_values(x_shape))}, constants, y_shape, "int8")
    return calibrated(draw, drawn)


@st.composite
def conv_f32(draw: DrawFn, depthwise: bool = False) -> Case:
    window, groups, x_shape, w_shape, y_shape = _conv_shapes(draw, depthwise)
    op = ops.ConvF32(window, groups, *draw(real_clamps()))
    bias = draw(float_values((y_shape[3],))) if draw(st.booleans()) else None
    constants = {"w": draw(float_values(w_shape, 1.0)), "b": bias}
    return case(op, {"x": draw(float_values(x_shape))}, constants, y_shape, "float32")


@st.composite
def dense_s8(draw: DrawFn) -> Case:
    m, k, n = draw(st.integers(1, 3)), draw(st.integers(1, 70)), draw(st.integers(1, 9))
    op = ops.DenseS8(draw(requants(n)), draw(weight_zero_points(n)))
    constants = {"w": draw(int8_values((n, k))), "b": draw(biases(n, k))}
    drawn = case(op, {"x": draw(int8_values((m, k)))}, constants, (m, n), "int8")
    return calibrated(draw, drawn)


@st.composite
def dense_f32(draw: DrawFn) -> Case:
    m, k, n = draw(st.integers(1, 3)), draw(st.integers(1, 70)), draw(st.integers(1, 9))
    op = ops.DenseF32(*draw(real_clamps()))
    bias = draw(float_values((n,))) if draw(st.booleans()) else None
    constants = {"w": draw(float_values((n, k), 1.0)), "b": bias}
    return case(op, {"x": draw(float_values((m, k)))}, constants, (m, n), "float32")


def _matmul_shapes(draw: DrawFn) -> tuple[int, int, int, int]:
    small = st.integers(1, 9)
    return draw(st.integers(1, 3)), draw(small), draw(st.integers(1, 33)), draw(small)


@st.composite
def matmul_s8(draw: DrawFn) -> Case:
    b, m, k, n = _matmul_shapes(draw)
    requant = draw(requants(1))
    op = ops.MatMulS8(requant, draw(zero_points()))
    values = {"a": draw(int8_values((b, m, k))), "b": draw(int8_values((b, k, n)))}
    return calibrated(draw, case(op, values, {}, (b, m, n), "int8"))


@st.composite
def matmul_f32(draw: DrawFn) -> Case:
    b, m, k, n = _matmul_shapes(draw)
    op = ops.MatMulF32(*draw(real_clamps()))
    values = {"a": draw(float_values((b, m, k))), "b": draw(float_values((b, k, n)))}
    return case(op, values, {}, (b, m, n), "float32")


@st.composite
def broadcast_shapes(draw: DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Two shapes of rank at most 4 that broadcast, and the shape that they broadcast to."""
    out = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    shapes = []
    for _ in range(2):
        shape = tuple(size if draw(st.integers(0, 3)) else 1 for size in out)
        shapes.append(shape[draw(st.integers(0, len(shape) - 1)) if draw(st.booleans()) else 0 :])
    a, b = shapes
    return a, b, np.broadcast_shapes(a, b)


def _two(draw: DrawFn, op: ops.Op, a: Array, b: Array, y: tuple[int, ...], dtype: DType) -> Case:
    """Both activations, or one of them constant."""
    match draw(st.sampled_from(["none", "a", "b"])):
        case "a":
            return case(op, {"b": b}, {"a": a}, y, dtype, ("a", "b"))
        case "b":
            return case(op, {"a": a}, {"b": b}, y, dtype, ("a", "b"))
        case _:
            return case(op, {"a": a, "b": b}, {}, y, dtype)


@st.composite
def binary_s8(draw: DrawFn, kind: ops.BinaryKind) -> Case:
    a, b, y = draw(broadcast_shapes())
    lo, hi = draw(clamps())
    a_scale, b_scale = draw(scales(-6.0, -4.0)), draw(scales(-6.0, -4.0))
    top = 128 * 128 * a_scale * b_scale if kind == "mul" else 128 * max(a_scale, b_scale)
    spread = draw(st.sampled_from([1.0, 1.0, 1.0, 2.0, 0.3, 1e-3, 50.0])) / 80.0
    out_scale = float(np.float32(top * spread * draw(st.sampled_from([1.0, 0.83, 1.19]))))
    op = ops.BinaryS8(
        kind, a_scale, draw(zero_points()), b_scale, draw(zero_points()), out_scale,
        draw(zero_points()), lo, hi, draw(st.booleans()),
    )  # fmt: skip
    return _two(draw, op, draw(int8_values(a)), draw(int8_values(b)), y, "int8")


@st.composite
def binary_f32(draw: DrawFn) -> Case:
    a, b, y = draw(broadcast_shapes())
    op = ops.BinaryF32(
        draw(st.sampled_from(["add", "sub", "mul", "div", "prelu"])), *draw(real_clamps())
    )
    return _two(draw, op, draw(float_values(a)), draw(float_values(b)), y, "float32")


@st.composite
def prelu_s8(draw: DrawFn) -> Case:
    slope_shape, _, shape = draw(broadcast_shapes())
    lo, hi = draw(clamps())
    in_scale = draw(scales(-8.0, -2.0))
    out_scale = float(np.float32(in_scale * draw(st.sampled_from([1.0, 0.5, 0.37, 1.9, 1e-3]))))
    op = ops.PReluS8(in_scale, draw(zero_points()), out_scale, draw(zero_points()), lo, hi)
    slope = draw(float_values(slope_shape, draw(st.sampled_from([0.5, 0.5, 100.0]))))
    if draw(st.booleans()):
        slope = (np.round(slope * 4) / 4).astype(np.float32)  # ties
    return case(op, {"x": draw(int8_values(shape))}, {"slope": slope}, shape, "int8")


@st.composite
def shapes(draw: DrawFn, most: int = 4, largest: int = 6) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(1, largest), min_size=1, max_size=most)))


@st.composite
def lut_s8(draw: DrawFn) -> Case:
    x = draw(int8_values(draw(shapes())))
    table = np.random.default_rng(draw(seeds())).integers(-128, 128, 256).astype(np.int8)
    return case(ops.LutS8("test"), {"x": x}, {"table": table}, x.shape, "int8")


_UNARY: Mapping[ops.UnaryKind, tuple[float, float]] = {
    "clip": (-0.5, 1.25), "leakyrelu": (0.01, 0.0), "hardswish": (0.0, 0.0),
    "hardsigmoid": (0.2, 0.5), "sigmoid": (0.0, 0.0), "tanh": (0.0, 0.0), "erf": (0.0, 0.0),
    "gelu": (0.0, 0.0), "gelu_tanh": (0.0, 0.0),
}  # fmt: skip


@st.composite
def unary_f32(draw: DrawFn) -> Case:
    kind = draw(st.sampled_from(sorted(_UNARY)))
    x = draw(float_values(draw(shapes()), draw(st.sampled_from([0.5, 5.0, 50.0]))))
    return case(ops.UnaryF32(kind, *_UNARY[kind]), {"x": x}, {}, x.shape, "float32")


@st.composite
def maxpool(draw: DrawFn, dtype: DType) -> Case:
    window, (h, w, ho, wo) = draw(windows(pool=True))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    values = int8_values if dtype == "int8" else float_values
    x: Array = draw(values((n, h, w, c)))
    return case(ops.MaxPool(window), {"x": x}, {}, (n, ho, wo, c), dtype)


@st.composite
def avgpool_s8(draw: DrawFn, form: str) -> Case:
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    if form == "window":
        window, (h, w, ho, wo) = draw(windows(pool=True))
    else:
        h, w, ho, wo = draw(st.integers(1, 9)), draw(st.integers(1, 9)), 1, 1
        if form == "packed":
            ho = draw(st.sampled_from([1, 1, h]))
        window = ops.Window((h // ho, w), (h // ho, 1))
    in_scale = draw(scales(-8.0, -2.0))
    factor = draw(st.sampled_from([1.0, 0.5, 0.37, 1.9]))
    out_scale = float(np.float32(in_scale * factor))
    lo, hi = draw(clamps())
    op = ops.AvgPoolS8(
        window, form == "window" and draw(st.booleans()), form,  # type: ignore[arg-type]
        in_scale, draw(zero_points()), out_scale, draw(zero_points()), lo, hi, draw(st.booleans()),
    )  # fmt: skip
    return case(op, {"x": draw(int8_values((n, h, w, c)))}, {}, (n, ho, wo, c), "int8")


@st.composite
def avgpool_f32(draw: DrawFn) -> Case:
    window, (h, w, ho, wo) = draw(windows(pool=True))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    op = ops.AvgPoolF32(window, draw(st.booleans()), *draw(real_clamps()))
    return case(op, {"x": draw(float_values((n, h, w, c)))}, {}, (n, ho, wo, c), "float32")


@st.composite
def softmax_s8(draw: DrawFn) -> Case:
    m, k = draw(st.integers(1, 4)), draw(st.integers(2, 40))
    out_scale, out_zp = draw(st.sampled_from([(1 / 256, -128), (1 / 255, -128), (1 / 128, 0)]))
    op = ops.SoftmaxS8(
        draw(scales(-8.0, 0.0)), draw(zero_points()), float(np.float32(out_scale)), out_zp
    )
    return case(op, {"x": draw(int8_values((m, k)))}, {}, (m, k), "int8")


@st.composite
def softmax_f32(draw: DrawFn) -> Case:
    m, k = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    op = ops.SoftmaxF32(draw(st.booleans()))
    x = draw(float_values((m, k), draw(st.sampled_from([1.0, 30.0]))))
    return case(op, {"x": x}, {}, (m, k), "float32")


@st.composite
def layer_norm_f32(draw: DrawFn) -> Case:
    m, k = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    x = draw(float_values((m, k))) + np.float32(draw(st.sampled_from([0.0, 0.7, -100.0])))
    bias = draw(float_values((k,))) if draw(st.booleans()) else None
    constants = {"scale": draw(float_values((k,))), "bias": bias}
    return case(ops.LayerNormF32(1e-5), {"x": x}, constants, (m, k), "float32")


@st.composite
def recurrent_f32(draw: DrawFn, gates: Literal[3, 4]) -> Case:
    """A GRU (three gates) or LSTM (four), its initial states given, constant or zero."""
    steps, units = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    values: dict[str, Array] = {"g": draw(float_values((steps, gates * units)))}
    constants: dict[str, Array | None] = {"r": draw(float_values((gates * units, units), 1.0))}
    if gates == 3:
        constants["late"] = draw(float_values((units,))) if draw(st.booleans()) else None
    for name in ("h0", "c0")[: gates - 2]:
        place = draw(st.sampled_from(["activation", "constant", "none"]))
        start = draw(float_values((1, units)))
        if place == "activation":
            values[name] = start
        else:
            constants[name] = start if place == "constant" else None
    names = ("g", "r", "late", "h0") if gates == 3 else ("g", "r", "h0", "c0")
    order = tuple("" if constants.get(n, n) is None else n for n in names)
    op = ops.GruF32() if gates == 3 else ops.LstmF32()
    return case(op, values, constants, (steps, units), "float32", order)


@st.composite
def argmax(draw: DrawFn, dtype: DType) -> Case:
    m, k = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    x = draw(int8_values((m, k))).astype(dtype)
    return case(ops.ArgMax(draw(st.booleans())), {"x": x}, {}, (m,), "int64")


@st.composite
def quantize(draw: DrawFn) -> Case:
    scale = draw(scales())
    x = draw(float_values(draw(shapes()), 300.0 * scale))
    return case(ops.Quantize(scale, draw(zero_points())), {"x": x}, {}, x.shape, "int8")


@st.composite
def dequantize(draw: DrawFn) -> Case:
    x = draw(int8_values(draw(shapes())))
    op = ops.Dequantize(draw(scales()), draw(zero_points()))
    return case(op, {"x": x}, {}, x.shape, "float32")


@st.composite
def flip_sign(draw: DrawFn) -> Case:
    x = draw(int8_values(draw(shapes())))
    if draw(st.booleans()):
        return case(ops.FlipSign(), {"x": x}, {}, x.shape, "uint8")
    return case(ops.FlipSign(), {"x": x.view(np.uint8)}, {}, x.shape, "int8")


@st.composite
def either_values(draw: DrawFn, shape: tuple[int, ...]) -> Array:
    if draw(st.booleans()):
        return draw(int8_values(shape))
    return draw(float_values(shape))


@st.composite
def copy(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes())))
    return case(ops.Copy(), {"x": x}, {}, x.shape, _dtype(x))


@st.composite
def transpose(draw: DrawFn) -> Case:
    x = draw(either_values(draw(shapes(6, 4))))
    perm = tuple(draw(st.permutations(range(x.ndim))))
    y_shape = tuple(x.shape[axis] for axis in perm)
    return case(ops.Transpose(perm), {"x": x}, {}, y_shape, _dtype(x))


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
    return case(op, {"x": x}, {}, tuple(y_shape), _dtype(x))


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
    dtype = _dtype(parts["p0"])
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
    return case(op, {"x": x}, {}, y_shape, _dtype(x))


@st.composite
def resize(draw: DrawFn) -> Case:
    n, h, w, c = draw(st.tuples(*[st.integers(1, 5)] * 4))
    x = draw(either_values((n, h, w, c)))
    rows = tuple(draw(st.lists(st.integers(0, h - 1), min_size=1, max_size=7)))
    cols = tuple(draw(st.lists(st.integers(0, w - 1), min_size=1, max_size=7)))
    op = ops.Resize(rows, cols)
    return case(op, {"x": x}, {}, (n, len(rows), len(cols), c), _dtype(x))


CASES: Mapping[str, SearchStrategy[Case]] = {
    "nn_conv2d_s8": conv_s8(),
    "nn_depthwise_s8": conv_s8(depthwise=True),
    "nn_dense_s8": dense_s8(),
    "nn_matmul_s8": matmul_s8(),
    "nn_add_s8": binary_s8("add"),
    "nn_sub_s8": binary_s8("sub"),
    "nn_mul_s8": binary_s8("mul"),
    "nn_prelu_s8": prelu_s8(),
    "nn_lut_s8": lut_s8(),
    "nn_maxpool_s8": maxpool("int8"),
    "nn_avgpool_s8": st.one_of(avgpool_s8("window"), avgpool_s8("mean")),
    "nn_global_avgpool_s8": avgpool_s8("global"),
    "nn_packed_mean_s8": avgpool_s8("packed"),
    "nn_softmax_s8": softmax_s8(),
    "nn_layernorm_f32": layer_norm_f32(),
    "nn_gru_f32": recurrent_f32(3),
    "nn_lstm_f32": recurrent_f32(4),
    "nn_argmax_s8": argmax("int8"),
    "nn_argmax_f32": argmax("float32"),
    "nn_quantize_f32_s8": quantize(),
    "nn_dequantize_s8_f32": dequantize(),
    "nn_flip_sign": flip_sign(),
    "nn_copy": copy(),
    "nn_strided_copy": st.one_of(transpose(), slices()),
    "nn_concat": concat(),
    "nn_pad": pad(),
    "nn_resize": resize(),
    "nn_conv2d_f32": conv_f32(),
    "nn_depthwise_f32": conv_f32(depthwise=True),
    "nn_dense_f32": dense_f32(),
    "nn_matmul_f32": matmul_f32(),
    "nn_binary_f32": binary_f32(),
    "nn_unary_f32": unary_f32(),
    "nn_maxpool_f32": maxpool("float32"),
    "nn_avgpool_f32": avgpool_f32(),
    "nn_softmax_f32": softmax_f32(),
}
