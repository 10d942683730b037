# SPDX-License-Identifier: MIT
"""The oracle against ONNX Runtime, operator by operator: integers to the bit, floats closely.

What only moves data is held to it by the random networks of `test_import`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codegen import ops, oracle
from codegen.ir import Array, Graph, Node, Tensor
from codegen.load import load
from codegen.ops import Op
from codegen.oracle import softmax
from codegen.passes import lower
from simharness.check import compare, input_specs, ort_session, random_inputs, reference_outputs

seeds = st.integers(0, 2**32 - 1)
signs = st.sampled_from([np.int8, np.uint8])

EVERY = np.arange(-128, 128, dtype=np.int8)
EVERY_A, EVERY_B = (pair.copy() for pair in np.meshgrid(EVERY, EVERY, indexing="ij"))

QuantPair = tuple[float, int]


def quant(rng: np.random.Generator, least: float = 2e-3, most: float = 1.0) -> QuantPair:
    """A scale, often one that makes ties, and a zero point of int8."""
    free = float(np.float32(np.exp(rng.uniform(np.log(least), np.log(most)))))
    return float(rng.choice([free, free, 2.0**-5, 0.05])), int(rng.integers(-128, 128))


def evaluated(op: Op, out_shape: tuple[int, ...], *values: Array) -> Array:
    """One operator of the oracle."""
    names = tuple(f"x{i}" for i in range(len(values)))
    tensors = {n: Tensor(n, v.shape, v.dtype.name) for n, v in zip(names, values, strict=True)}  # type: ignore[arg-type]
    tensors["y"] = Tensor("y", out_shape, "int8")
    node = Node("node", op, names, ("y",))
    graph = Graph("graph", tensors, (node,), names, ("y",))
    return oracle.evaluate(node, graph, dict(zip(names, values, strict=True)))


def runtime(
    kind: str,
    values: Sequence[Array],
    quants: Sequence[QuantPair],
    constants: Mapping[str, Array] | None = None,
    unsigned: bool = False,
    **attributes: object,
) -> Array:
    """`kind` between DequantizeLinear and QuantizeLinear in ONNX Runtime; int8 values in and out.

    The last of `quants` is the output's; with `unsigned` the model itself is uint8 throughout.
    """
    element = TensorProto.UINT8 if unsigned else TensorProto.INT8
    offset = 128 if unsigned else 0
    nodes, initializers, feeds = [], [], {}

    def constant(name: str, value: Any) -> str:
        initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def parameters(name: str, pair: QuantPair) -> list[str]:
        zero_point = np.uint8(pair[1] + 128) if unsigned else np.int8(pair[1])
        return [constant(f"{name}_s", np.float32(pair[0])), constant(f"{name}_z", zero_point)]

    inputs = []
    for i, (value, pair) in enumerate(zip(values, quants, strict=False)):
        name = f"x{i}"
        feeds[name] = (value.astype(np.int16) + offset).astype(np.uint8 if unsigned else np.int8)
        inputs.append(helper.make_tensor_value_info(name, element, value.shape))
        nodes.append(
            helper.make_node("DequantizeLinear", [name, *parameters(name, pair)], [f"{name}_f"])
        )
    names = [f"{value.name}_f" for value in inputs]
    for name, array in (constants or {}).items():
        if name.endswith("_scale"):
            continue
        scale = constant(f"{name}_s", (constants or {})[f"{name}_scale"])
        zero_point = constant(
            f"{name}_z", np.zeros((constants or {})[f"{name}_scale"].shape, array.dtype)
        )
        nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [constant(name, array), scale, zero_point],
                [f"{name}_f"],
                axis=0,
            )
        )
        names.append(f"{name}_f")
    nodes.append(helper.make_node(kind, names, ["f"], **attributes))
    nodes.append(helper.make_node("QuantizeLinear", ["f", *parameters("y", quants[-1])], ["y"]))
    output = helper.make_tensor_value_info("y", element, None)
    graph = helper.make_graph(nodes, kind, inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (y,) = ort_session(model.SerializeToString()).run(None, feeds)
    return np.asarray((y.astype(np.int16) - offset).astype(np.int8))


@pytest.mark.parametrize("kind", ["add", "mul", "sub"])
@given(seeds, st.booleans())
def test_binary_operators_on_every_pair_of_values(kind: str, seed: int, unsigned: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = quant(rng), quant(rng)
    y = quant(rng, 4e-3, 3.0) if kind != "mul" else quant(rng, 1e-4, 0.3)
    op = ops.BinaryS8(kind, *a, *b, *y, unsigned=unsigned)  # type: ignore[arg-type]
    expected = runtime(kind.title(), [EVERY_A, EVERY_B], [a, b, y], unsigned=unsigned)
    np.testing.assert_array_equal(evaluated(op, (256, 256), EVERY_A, EVERY_B), expected)


@pytest.mark.parametrize("kind", ["add", "mul"])
@given(seeds, st.sampled_from([((2, 3, 5), (1,)), ((1,), (2, 3, 5)), ((3, 1), (2, 1, 7))]))
def test_binary_operators_broadcast(
    kind: str, seed: int, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    rng = np.random.default_rng(seed)
    a, b, y = quant(rng), quant(rng), quant(rng)
    x = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    expected = runtime(kind.title(), x, [a, b, y])
    op = ops.BinaryS8(kind, *a, *b, *y)  # type: ignore[arg-type]
    np.testing.assert_array_equal(evaluated(op, expected.shape, *x), expected)


def pool_shapes(rng: np.random.Generator) -> tuple[ops.Window, tuple[int, ...], tuple[int, ...]]:
    """A window, the image [N,H,W,C], and the result; never the whole image at once."""
    kernel = tuple(int(k) for k in rng.integers(1, 5, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    pads = tuple(int(rng.integers(0, k)) for k in kernel * 2)
    image = tuple(int(k + s + rng.integers(0, 6)) for k, s in zip(kernel, strides, strict=True))
    result = tuple(
        (image[i] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i in range(2)
    )
    channels = int(rng.integers(1, 20))
    window = ops.Window(kernel, strides, pads)  # type: ignore[arg-type]
    return window, (2, *image, channels), (2, *result, channels)


def channels_first(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


@given(seeds, st.booleans(), st.booleans())
def test_average_pool(seed: int, unsigned: bool, include: bool) -> None:
    rng = np.random.default_rng(seed)
    window, shape, out_shape = pool_shapes(rng)
    x, y = quant(rng), quant(rng)
    y = (x[0], y[1]) if rng.integers(0, 2) else y
    image = rng.integers(-128, 128, shape).astype(np.int8)
    op = ops.AvgPoolS8(window, include, "window", *x, *y, unsigned=unsigned)
    expected = runtime(
        "AveragePool", [channels_first(image)], [x, y], unsigned=unsigned,
        kernel_shape=window.kernel, strides=window.strides, pads=window.pads,
        count_include_pad=int(include),
    )  # fmt: skip
    actual = channels_first(evaluated(op, out_shape, image))
    np.testing.assert_array_equal(actual, expected)


@given(seeds, st.booleans(), st.sampled_from(["GlobalAveragePool", "AveragePool"]))
def test_average_of_the_whole_image(seed: int, unsigned: bool, kind: str) -> None:
    rng = np.random.default_rng(seed)
    h, w, c = (int(v) for v in rng.integers(2, 12, 3))
    x, y = quant(rng), quant(rng)
    y = (x[0], y[1]) if rng.integers(0, 2) else y
    image = rng.integers(-128, 128, (2, h, w, c)).astype(np.int8)
    op = ops.AvgPoolS8(ops.Window((h, w)), False, "global", *x, *y, unsigned=unsigned)
    attributes = {"kernel_shape": [h, w]} if kind == "AveragePool" else {}
    expected = runtime(kind, [channels_first(image)], [x, y], unsigned=unsigned, **attributes)
    actual = channels_first(evaluated(op, (2, 1, 1, c), image))
    np.testing.assert_array_equal(actual, expected)


@given(seeds, st.sampled_from(["image", "rows", "leading"]))
def test_mean_in_float(seed: int, axes: str) -> None:
    """ReduceMean has no integer operator: the order of its float32 additions decides near ties."""
    rng = np.random.default_rng(seed)
    h, w, c = (int(v) for v in rng.integers(1, 12, 3))
    batch = 1 if axes == "leading" else 3
    x, y = quant(rng), quant(rng)
    y = (x[0], y[1]) if rng.integers(0, 4) else y
    image = rng.integers(-128, 128, (batch, h, w, c)).astype(np.int8)
    if axes == "leading":
        op = ops.AvgPoolS8(ops.Window((h, w)), False, "mean", *x, *y)
        expected = runtime("ReduceMean", [image], [x, y], axes=[1, 2])
        actual = evaluated(op, expected.shape, image)
    else:
        over = (1, w) if axes == "rows" else (h, w)
        op = ops.AvgPoolS8(ops.Window(over), False, "packed", *x, *y)
        reduced = [3] if axes == "rows" else [2, 3]
        expected = runtime("ReduceMean", [channels_first(image)], [x, y], axes=reduced)
        actual = channels_first(evaluated(op, (batch, h // over[0], 1, c), image))
    np.testing.assert_array_equal(actual, expected)


def test_mean_over_middle_axes_is_seldom_one_off() -> None:
    """With kept axes of more than one element on either side the order of additions is unknown."""
    rng = np.random.default_rng(0)
    wrong = elements = 0
    for _ in range(60):
        h, w, c = (int(v) for v in rng.integers(2, 12, 3))
        x = quant(rng)
        y = (x[0], int(rng.integers(-128, 128)))  # the same scale: means lie on ties
        image = rng.integers(-128, 128, (3, h, w, c)).astype(np.int8)
        expected = runtime("ReduceMean", [image], [x, y], axes=[1, 2]).astype(np.int32)
        op = ops.AvgPoolS8(ops.Window((h, w)), False, "mean", *x, *y)
        difference = np.abs(evaluated(op, expected.shape, image) - expected)
        assert difference.max() <= 1
        wrong, elements = wrong + int(difference.sum()), elements + difference.size
    assert wrong / elements < 0.02


@given(seeds)
def test_max_pool(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, shape, out_shape = pool_shapes(rng)
    x = quant(rng)
    image = rng.integers(-128, 128, shape).astype(np.int8)
    expected = runtime(
        "MaxPool", [channels_first(image)], [x, x],
        kernel_shape=window.kernel, strides=window.strides, pads=window.pads,
    )  # fmt: skip
    actual = channels_first(evaluated(ops.MaxPool(window), out_shape, image))
    np.testing.assert_array_equal(actual, expected)


@given(seeds, st.booleans(), st.sampled_from([2, 3, 10, 100, 1000]))
def test_softmax(seed: int, unsigned: bool, columns: int) -> None:
    rng = np.random.default_rng(seed)
    x = quant(rng)
    y = (float(rng.choice([1 / 256, 1 / 255, 1 / 128, 0.0039, 0.01])), int(rng.choice([-128, 0])))
    values = rng.integers(-128, 128, (8, columns)).astype(np.int8)
    values[:4] //= 16
    expected = runtime("Softmax", [values], [x, y], unsigned=unsigned, axis=-1)
    op = ops.SoftmaxS8(*x, *y)
    np.testing.assert_array_equal(evaluated(op, values.shape, values), expected)


def test_softmax_is_not_an_ideal_one() -> None:
    """The test above can fail: scaled exponentials with another headroom give other integers."""
    x = np.random.default_rng(0).integers(-40, 40, (200, 3)).astype(np.int8)
    op = ops.SoftmaxS8(0.03, 0, 1 / 255, -128)
    exact = softmax.softmax_f32(ops.SoftmaxF32(), x.shape, x.astype(np.float32) * np.float32(0.03))
    ideal = np.rint(exact / op.out_scale) - 128
    assert (ideal != evaluated(op, x.shape, x)).any()


@given(seeds, st.sampled_from(["full", "grouped", "depthwise", "multiplier"]))
def test_convolution(seed: int, form: str) -> None:
    rng = np.random.default_rng(seed)
    window, shape, _ = pool_shapes(rng)
    groups = {"full": 1, "grouped": 2, "depthwise": 6, "multiplier": 3}[form]
    c_in, c_out = (6, 6) if form != "multiplier" else (3, 9)
    dilations = tuple(int(d) for d in rng.integers(1, 3, 2))
    image_shape = (2, shape[1] + window.kernel[0], shape[2] + window.kernel[1], c_in)
    window = ops.Window(window.kernel, window.strides, window.pads, dilations)  # type: ignore[arg-type]
    x, y = quant(rng), quant(rng, 0.02, 5.0)
    image = rng.integers(-128, 128, image_shape).astype(np.int8)
    w = rng.integers(-127, 128, (c_out, c_in // groups, *window.kernel)).astype(np.int8)
    w_scale = rng.uniform(0.001, 0.01, c_out).astype(np.float32)
    b = rng.integers(-5000, 5000, c_out).astype(np.int32)
    expected = runtime(
        "Conv", [channels_first(image)], [x, y],
        {"w": w, "w_scale": w_scale, "b": b, "b_scale": np.float32(x[0]) * w_scale},
        strides=window.strides, pads=window.pads, dilations=dilations, group=groups,
    )  # fmt: skip
    multiplier = (np.float32(x[0]) * w_scale / np.float32(y[0])).astype(np.float32)
    op = ops.ConvS8(window, groups, ops.Requant(multiplier, x[1], y[1]))
    n, c, h, width = expected.shape
    actual = evaluated(op, (n, h, width, c), image, w.transpose(0, 2, 3, 1), b)
    np.testing.assert_array_equal(channels_first(actual), expected)


@given(seeds, st.booleans())
def test_dense(seed: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    m, k, n = int(rng.integers(1, 4)), int(rng.integers(1, 300)), int(rng.integers(1, 20))
    x, y = quant(rng), quant(rng, 0.02, 5.0)
    values = rng.integers(-128, 128, (m, k)).astype(np.int8)
    w = rng.integers(-127, 128, (n, k)).astype(np.int8)
    w_scale = np.asarray(rng.uniform(0.001, 0.01), np.float32)
    limit = 2**30 if wide else 5000  # beyond 2^24 a sum is no longer exact in float32
    b = rng.integers(-limit, limit, n).astype(np.int32)
    expected = runtime(
        "Gemm", [values], [x, y],
        {"w": w, "w_scale": w_scale, "b": b, "b_scale": np.float32(x[0]) * w_scale},
        transB=1,
    )  # fmt: skip
    multiplier = (np.float32(x[0]) * w_scale.reshape(1) / np.float32(y[0])).astype(np.float32)
    op = ops.DenseS8(ops.Requant(multiplier, x[1], y[1]))
    np.testing.assert_array_equal(evaluated(op, (m, n), values, w, b), expected)


@given(seeds)
def test_product_of_two_activations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, k, n = (int(v) for v in rng.integers(1, 12, 3))
    a, b, y = quant(rng), quant(rng), quant(rng, 0.02, 5.0)
    left = rng.integers(-128, 128, (2, m, k)).astype(np.int8)
    right = rng.integers(-128, 128, (2, k, n)).astype(np.int8)
    expected = runtime("MatMul", [left, right], [a, b, y])
    ratio = np.float32(a[0]) * np.float32(b[0]) / np.float32(y[0])
    op = ops.MatMulS8(ops.Requant(np.full(1, ratio, np.float32), a[1], y[1]), b[1])
    np.testing.assert_array_equal(evaluated(op, (2, m, n), left, right), expected)


@given(seeds)
def test_values_round_half_to_even_on_quantizing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, zero_point = quant(rng)
    halves = (np.arange(-600, 600) / 2).astype(np.float32) * np.float32(scale)
    x = np.concatenate([halves, rng.normal(0, 60 * scale, 500), [np.inf, -np.inf, 1e38]])
    x = x.astype(np.float32)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    graph = helper.make_graph(
        [node],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT8, x.shape)],
        [
            numpy_helper.from_array(np.asarray(scale, np.float32), "s"),
            numpy_helper.from_array(np.asarray(zero_point, np.int8), "z"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (expected,) = ort_session(model.SerializeToString()).run(None, {"x": x})
    actual = evaluated(ops.Quantize(scale, zero_point), x.shape, x)
    np.testing.assert_array_equal(actual, expected)


PUBLISHED = [
    "mlperf_ad_fcae", "mlperf_ic_resnet8", "mlperf_ic_resnet8_nchw", "mlperf_kws_dscnn",
    "mlperf_kws_dscnn_nchw", "mlperf_vww_mbv1", "mlperf_vww_mbv1_nchw", "mcunet_vww1",
    "mcunet_vww1_nchw", "mcunet_in3", "mcunet_in3_nchw",
]  # fmt: skip


def file_of(name: str, dtype: str) -> str:
    stem, nchw, _ = name.partition("_nchw")
    return f"{stem}_{dtype}{nchw}.onnx"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_int8_networks_to_the_bit(shared_models: Path, name: str) -> None:
    path = shared_models / file_of(name, "int8")
    graph = lower(load(path))
    samples = random_inputs(input_specs(graph), 5, 1)
    for sample, reference in zip(samples, reference_outputs(path, samples), strict=True):
        found = compare(list(oracle.run(graph, sample).values()), reference)
        assert found.ok and (found.max_lsb == 0 or found.max_abs == 0), found


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n.startswith("mlperf")])
def test_published_float_networks_closely(shared_models: Path, name: str) -> None:
    path = shared_models / file_of(name, "fp32")
    graph = lower(load(path))
    samples = random_inputs(input_specs(graph), 2, 1)
    for sample, reference in zip(samples, reference_outputs(path, samples), strict=True):
        found = compare(list(oracle.run(graph, sample).values()), reference)
        assert found.ok and found.max_rel is not None and found.max_rel < 2e-6, found


def test_sums_behind_an_output(shared_models: Path) -> None:
    """`accumulators` are what requantization turns into the output."""
    graph = lower(load(shared_models / file_of("mlperf_kws_dscnn", "int8")))
    (sample,) = random_inputs(input_specs(graph), 1, 0)
    values = oracle.run(graph, sample, keep_all=True)
    seen = 0
    for node in graph.nodes:
        sums = oracle.accumulators(node, graph, values)
        if sums is not None and isinstance(node.op, ops.ConvS8 | ops.DenseS8):
            rq = node.op.requant
            real = np.rint(sums.astype(np.float32) * rq.multiplier) + rq.out_zp
            np.testing.assert_array_equal(np.clip(real, rq.lo, rq.hi), values[node.outputs[0]])
            seen += 1
    assert seen == 10


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({}, "missing"), ({"x": np.zeros(3, np.int8)}, "not int8"), ({"x": np.zeros(4)}, "float64")],
)
def test_inputs_are_checked(inputs: dict[str, Array], message: str) -> None:
    tensors = {name: Tensor(name, (4,), "int8") for name in "xy"}
    graph = Graph("g", tensors, (Node("n", ops.Copy(), ("x",), ("y",)),), ("x",), ("y",))
    with pytest.raises(ValueError, match=message):
        oracle.run(graph, inputs)


def test_a_multiply_add_that_rounds_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, y = (0.07, 3), (0.03, -7), (0.1, 1)  # every tenth sum is a tie
    op = ops.BinaryS8("add", *a, *b, *y)
    expected = runtime("Add", [EVERY_A, EVERY_B], [a, b, y])
    np.testing.assert_array_equal(evaluated(op, (256, 256), EVERY_A, EVERY_B), expected)
    monkeypatch.setattr(oracle.elementwise.mlas, "fma", lambda a, b, c: a * b + c)
    assert (evaluated(op, (256, 256), EVERY_A, EVERY_B) != expected).any()
