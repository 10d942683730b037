# SPDX-License-Identifier: MIT
"""Hypothesis strategies for layers: one-node graphs with values.

`CASES[kernel]` draws a `Case` that the reference of that name runs. Shapes are small and awkward
(odd channels, windows larger than the input, padding on one side). What layers are made of comes
from `simharness.testing.values` and may be imported from here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from codegen import ops
from codegen.ir import Array, DType
from simharness.testing.movement import concat, copy, pad, resize, slices, transpose
from simharness.testing.values import (
    Case,
    biases,
    calibrated,
    case,
    clamps,
    float_values,
    int8_values,
    real_clamps,
    requants,
    scales,
    seeds,
    shapes,
    weight_zero_points,
    windows,
    zero_points,
)

__all__ = [
    "CASES", "Case", "biases", "broadcast_shapes", "calibrated", "case", "clamps", "float_values",
    "int8_values", "real_clamps", "requants", "scales", "seeds", "weight_zero_points", "windows",
    "zero_points",
]  # fmt: skip


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
