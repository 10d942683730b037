# SPDX-License-Identifier: MIT
"""Each pass does its one thing, and the result still means what ONNX Runtime makes of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from codegen.errors import UnsupportedError
from codegen.ir import Graph, Node
from codegen.load import load
from codegen.ops import (
    AvgPoolS8,
    BinaryF32,
    BinaryS8,
    ConvF32,
    ConvS8,
    DenseF32,
    DenseS8,
    LutS8,
    MaxPool,
    Slice,
    View,
)
from codegen.oracle import run
from codegen.passes import lower

Array = npt.NDArray[np.generic]
RNG = np.random.default_rng(1)
TYPES = {
    "float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
}  # fmt: skip


class Model:
    """A small ONNX model: input x, output y, nodes in order."""

    def __init__(
        self, shape: Sequence[int], dtype: str = "float32", out: str = "float32", opset: int = 17
    ) -> None:
        self.shape, self.dtype, self.out, self.opset = list(shape), dtype, out, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: object, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, kind: str, *inputs: str, out: str = "", **attrs: object) -> str:
        out = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], f"{kind}_{out}", **attrs))
        return out

    def quantize(self, x: str, scale: float, point: int, dtype: str = "int8", out: str = "") -> str:
        parameters = self.const(scale), self.const(point, dtype)
        return self.add("QuantizeLinear", x, *parameters, out=out)

    def dequantize(self, q: str, scale: float, point: int, dtype: str = "int8") -> str:
        return self.add("DequantizeLinear", q, self.const(scale), self.const(point, dtype))

    def requantize(self, x: str, scale: float, point: int, dtype: str = "int8") -> str:
        return self.dequantize(self.quantize(x, scale, point, dtype), scale, point, dtype)

    def weights(self, *shape: int, scale: float = 0.02, point: int = 0) -> str:
        return self.dequantize(self.const(RNG.integers(-127, 128, shape), "int8"), scale, point)

    def save(self, folder: Path) -> Path:
        path = folder / "model.onnx"
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TYPES[self.dtype], self.shape)],
            [helper.make_tensor_value_info("y", TYPES[self.out], None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def checked(model: Model, folder: Path, tolerance: float = 0.0, *, optimized: bool = True) -> Graph:
    """The lowered graph, after its output has been found equal to ONNX Runtime's."""
    path = model.save(folder)
    graph = lower(load(path))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    if model.dtype == "float32":
        x: Array = RNG.standard_normal(model.shape).astype(np.float32)
    else:
        limits = np.iinfo(model.dtype)
        x = RNG.integers(limits.min, limits.max, model.shape).astype(model.dtype)
    expected = session.run(None, {"x": x})[0]
    ours = run(graph, {"x": x})["y"]
    atol = tolerance or (0.0 if expected.dtype != np.float32 else 1e-5)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=atol)
    return graph


def kinds(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes if not isinstance(node.op, View)]


def only(graph: Graph, kind: type) -> Node:
    (node,) = (node for node in graph.nodes if isinstance(node.op, kind))
    return node


# Constants


def test_a_shape_computed_in_the_graph_folds_away(tmp_path: Path) -> None:
    m = Model([1, 4, 3, 3])
    shape = m.add("Shape", "x")
    batch = m.add("Gather", shape, m.const([0], "int64"))
    target = m.add("Concat", batch, m.const([-1], "int64"), axis=0)
    m.add("Relu", m.add("Reshape", "x", target), out="y")
    assert kinds(checked(m, tmp_path)) == ["UnaryF32"]


def test_pads_computed_as_torchscript_does_fold_away(tmp_path: Path) -> None:
    """A chain that ONNX's shape inference does not follow."""
    m = Model([1, 2, 5, 5])
    zeros = m.add("ConstantOfShape", m.const([4], "int64"),
                  value=numpy_helper.from_array(np.int64([0])))  # fmt: skip
    pads = m.add("Concat", m.const([1, 2, 0, 1], "int64"), zeros, axis=0)
    pads = m.add("Reshape", pads, m.const([-1, 2], "int64"))
    pads = m.add("Slice", pads, *(m.const([v], "int64") for v in (-1, -(2**63) + 1, 0, -1)))
    pads = m.add("Reshape", m.add("Transpose", pads, perm=[1, 0]), m.const([-1], "int64"))
    x = m.add("Pad", "x", m.add("Cast", pads, to=TensorProto.INT64), m.const(0.0))
    m.add("Conv", x, m.const(RNG.standard_normal((3, 2, 3, 3))), out="y")
    graph = checked(m, tmp_path)
    assert "Pad" not in kinds(graph)


def test_constants_behind_quantizers_and_identities_fold(tmp_path: Path) -> None:
    """quantize_static quantizes shared normalization parameters twice, with an Identity between."""
    m = Model([1, 3, 4, 4])
    values = [m.const(RNG.uniform(0.5, 2, 3)) for _ in range(4)]
    for index in (0, 1):
        again = m.add("Identity", m.requantize(values[index], 0.02, 0))
        values[index] = m.requantize(again, 0.02, 0)
    m.add("BatchNormalization", "x", *values, out="y")
    assert kinds(checked(m, tmp_path)) == ["BinaryF32", "BinaryF32"]


def test_a_pad_value_behind_a_quantizer(tmp_path: Path) -> None:
    m = Model([1, 2, 4, 4], "int8", "int8")
    value = m.dequantize(m.const(0, "int8"), 0.1, 0)
    y = m.add("Pad", m.dequantize("x", 0.1, 3), m.const([0, 0, 1, 1] * 2, "int64"), value)
    m.quantize(y, 0.1, 3, out="y")
    assert kinds(checked(m, tmp_path)) == ["Pad"]


def test_identity_and_dropout_vanish(tmp_path: Path) -> None:
    m = Model([1, 4])
    m.add("Relu", m.add("Dropout", m.add("Identity", "x")), out="y")
    assert kinds(checked(m, tmp_path)) == ["UnaryF32"]


def test_an_output_that_is_an_input_is_copied(tmp_path: Path) -> None:
    m = Model([1, 4])
    m.add("Identity", "x", out="y")
    assert kinds(checked(m, tmp_path)) == ["Copy"]


def test_weights_quantized_in_the_graph_become_integers(tmp_path: Path) -> None:
    """quantize_static with AddQDQPairToWeight leaves QuantizeLinear on float constants."""
    m = Model([1, 3, 5, 5], "int8", "int8")
    w = m.requantize(m.const(RNG.standard_normal((4, 3, 3, 3))), 0.02, 0)
    m.quantize(m.add("Conv", m.dequantize("x", 0.1, 3), w), 0.2, -5, out="y")
    graph = checked(m, tmp_path)
    assert [k for k in kinds(graph) if k != "Transpose"] == ["ConvS8"]


def test_biases_shared_behind_identity_are_one_constant(tmp_path: Path) -> None:
    m = Model([1, 4])
    bias = m.const(RNG.standard_normal(4))
    w = m.const(RNG.standard_normal((4, 4)))
    first = m.add("Gemm", "x", w, m.add("Identity", bias))
    m.add("Gemm", first, w, m.add("Identity", bias), out="y")
    graph = checked(m, tmp_path)
    assert kinds(graph) == ["DenseF32", "DenseF32"]
    assert sum(t.data is not None for t in graph.tensors.values()) == 2


# Batch normalization


def batch_norm(m: Model, x: str, channels: int, out: str = "") -> str:
    values = [m.const(RNG.uniform(0.5, 2, channels)) for _ in range(4)]
    return m.add("BatchNormalization", x, *values, out=out)


def test_batch_norm_folds_into_conv(tmp_path: Path) -> None:
    m = Model([1, 3, 5, 5])
    conv = m.add("Conv", "x", m.const(RNG.standard_normal((4, 3, 3, 3))))
    m.add("Relu", batch_norm(m, conv, 4), out="y")
    graph = checked(m, tmp_path)
    assert [k for k in kinds(graph) if k != "Transpose"] == ["ConvF32"]
    op = only(graph, ConvF32).op
    assert isinstance(op, ConvF32) and op.lo == 0


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_batch_norm_folds_into_a_matrix_product(tmp_path: Path, kind: str) -> None:
    m = Model([2, 3])
    product = m.add(kind, "x", m.const(RNG.standard_normal((3, 4))))
    batch_norm(m, product, 4, out="y")
    assert kinds(checked(m, tmp_path)) == ["DenseF32"]


def test_batch_norm_alone_is_a_scale_and_a_shift(tmp_path: Path) -> None:
    m = Model([1, 3, 4, 4])
    batch_norm(m, "x", 3, out="y")
    assert kinds(checked(m, tmp_path)) == ["BinaryF32", "BinaryF32"]


def test_batch_norm_does_not_fold_into_a_conv_with_another_reader(tmp_path: Path) -> None:
    m = Model([1, 3, 4, 4])
    conv = m.add("Conv", "x", m.const(RNG.standard_normal((3, 3, 1, 1))))
    m.add("Add", batch_norm(m, conv, 3), conv, out="y")
    assert kinds(checked(m, tmp_path)).count("BinaryF32") == 3


def test_a_sum_after_a_conv_is_its_bias(tmp_path: Path) -> None:
    m = Model([1, 5, 5, 3])
    x = m.add("Transpose", "x", perm=[0, 3, 1, 2])
    y = m.add("Conv", x, m.const(RNG.standard_normal((4, 3, 1, 1))))
    y = m.add("Relu", m.add("Add", m.const(RNG.standard_normal((1, 4, 1, 1))), y))
    m.add("Transpose", y, perm=[0, 2, 3, 1], out="y")
    assert kinds(checked(m, tmp_path)) == ["ConvF32"]


# Padding


def padded_conv(value: float, mode: str = "constant", *, transposed: bool = False) -> Model:
    m = Model([1, 6, 6, 2] if transposed else [1, 2, 6, 6], "int8", "int8")
    x = m.dequantize("x", 0.1, 3)
    pads = [0, 1, 0, 0, 0, 0, 2, 0] if transposed else [0, 0, 1, 0, 0, 0, 0, 2]
    x = m.add("Pad", x, m.const(pads, "int64"), m.const(value), mode=mode)
    x = m.requantize(x, 0.1, 3)
    if transposed:
        x = m.add("Transpose", x, perm=[0, 3, 1, 2])
    y = m.add("Conv", x, m.weights(4, 2, 3, 3))
    m.quantize(y, 0.2, 0, out="y")
    return m


@pytest.mark.parametrize("transposed", [False, True])
def test_a_pad_folds_into_conv_also_across_a_transpose(tmp_path: Path, transposed: bool) -> None:
    graph = checked(padded_conv(0, transposed=transposed), tmp_path)
    assert "Pad" not in kinds(graph)
    op = only(graph, ConvS8).op
    assert isinstance(op, ConvS8) and op.window.pads == (1, 0, 0, 2)


@pytest.mark.parametrize(("value", "mode"), [(0.5, "constant"), (0, "reflect"), (0, "edge")])
def test_a_pad_that_means_something_else_stays(tmp_path: Path, value: float, mode: str) -> None:
    assert "Pad" in kinds(checked(padded_conv(value, mode), tmp_path))


def test_a_pad_of_nothing_vanishes(tmp_path: Path) -> None:
    m = Model([1, 2, 4, 4])
    m.add("Relu", m.add("Pad", "x", m.const([0] * 8, "int64")), out="y")
    assert kinds(checked(m, tmp_path)) == ["UnaryF32"]


def test_a_pad_of_the_lowest_value_folds_into_max_pool(tmp_path: Path) -> None:
    m = Model([1, 2, 4, 4], "int8", "int8")
    x = m.add("Pad", "x", m.const([0, 0, 1, 1, 0, 0, 0, 0], "int64"), m.const(-128, "int8"))
    m.add("MaxPool", x, kernel_shape=[2, 2], out="y")
    op = only(checked(m, tmp_path), MaxPool).op
    assert isinstance(op, MaxPool) and op.window.pads == (1, 1, 0, 0)


def test_negative_pads_crop(tmp_path: Path) -> None:
    m = Model([1, 2, 4, 4])
    m.add("Pad", "x", m.const([0, 0, -1, 1, 0, 0, 0, -2], "int64"), out="y")
    assert kinds(checked(m, tmp_path)) == ["Slice", "Pad"]


# Layout


def test_transposes_around_a_channels_last_conv_cancel(tmp_path: Path) -> None:
    m = Model([1, 5, 5, 3])
    x = m.add("Transpose", "x", perm=[0, 3, 1, 2])
    y = m.add("Relu", m.add("Conv", x, m.const(RNG.standard_normal((4, 3, 3, 3)))))
    m.add("Transpose", y, perm=[0, 2, 3, 1], out="y")
    assert kinds(checked(m, tmp_path)) == ["ConvF32"]


def test_one_channel_needs_no_transpose(tmp_path: Path) -> None:
    m = Model([1, 1, 5, 5])
    y = m.add("Conv", "x", m.const(RNG.standard_normal((4, 1, 5, 5))))
    m.add("Reshape", y, m.const([1, 4], "int64"), out="y")
    assert kinds(checked(m, tmp_path)) == ["ConvF32"]


def test_a_flatten_of_channels_first_permutes_the_weights_behind_it(tmp_path: Path) -> None:
    m = Model([2, 3, 4, 5])
    y = m.add("Conv", "x", m.const(RNG.standard_normal((3, 3, 1, 1))))
    y = m.add("Relu", m.add("Flatten", y))
    m.add("Gemm", y, m.const(RNG.standard_normal((60, 4))), out="y")
    assert kinds(checked(m, tmp_path)) == ["Transpose", "ConvF32", "DenseF32"]


def test_a_flatten_into_the_output_is_a_real_transpose(tmp_path: Path) -> None:
    m = Model([1, 3, 4, 5])
    y = m.add("Conv", "x", m.const(RNG.standard_normal((3, 3, 1, 1))))
    m.add("Flatten", y, out="y")
    assert kinds(checked(m, tmp_path)) == ["Transpose", "ConvF32", "Transpose"]


def test_squeezes_around_a_1d_conv_cost_nothing(tmp_path: Path) -> None:
    """tf2onnx writes Conv1D as a 2-D convolution between Unsqueeze and Squeeze."""
    m = Model([1, 9, 3])
    x = m.add("Unsqueeze", "x", m.const([1], "int64"))
    x = m.add("Transpose", x, perm=[0, 3, 1, 2])
    y = m.add("Conv", x, m.const(RNG.standard_normal((4, 3, 1, 3))))
    y = m.add("Transpose", y, perm=[0, 2, 3, 1])
    m.add("Squeeze", y, m.const([1], "int64"), out="y")
    assert kinds(checked(m, tmp_path)) == ["ConvF32"]


def test_a_bias_per_channel_follows_the_memory_order(tmp_path: Path) -> None:
    m = Model([1, 4, 4, 3])
    x = m.add("Transpose", "x", perm=[0, 3, 1, 2])
    y = m.add("Conv", x, m.const(RNG.standard_normal((5, 3, 1, 1))))
    y = m.add("Mul", y, m.const(RNG.standard_normal((5, 1, 1))))
    gate = m.add("Sigmoid", m.add("GlobalAveragePool", y))
    m.add("Transpose", m.add("Mul", y, gate), perm=[0, 2, 3, 1], out="y")
    assert "Transpose" not in kinds(checked(m, tmp_path))


# Clamps and tables


@pytest.mark.parametrize("point", [-128, -20, 50])
def test_relu_is_a_clamp_at_any_zero_point(tmp_path: Path, point: int) -> None:
    m = Model([1, 8], "int8", "int8")
    y = m.add("Relu", m.add("Gemm", m.dequantize("x", 0.1, 3), m.weights(8, 4)))
    m.quantize(y, 0.2, point, out="y")
    # With another zero point ONNX Runtime leaves the Gemm in float, which may round otherwise.
    op = only(checked(m, tmp_path, 0 if point == -128 else 1), DenseS8).op
    assert isinstance(op, DenseS8) and (op.requant.lo, op.requant.hi) == (point, 127)


def test_clip_is_a_clamp(tmp_path: Path) -> None:
    m = Model([1, 8], "int8", "int8")
    y = m.add("MatMul", m.dequantize("x", 0.1, 3), m.weights(8, 4))
    m.quantize(m.add("Clip", y, m.const(0.0), m.const(6.0)), 0.1, -100, out="y")
    op = only(checked(m, tmp_path, 1), DenseS8).op
    assert isinstance(op, DenseS8) and (op.requant.lo, op.requant.hi) == (-100, -40)


def test_a_clamp_crosses_a_max_pool(tmp_path: Path) -> None:
    m = Model([1, 4, 4, 1])
    x = m.add("Transpose", "x", perm=[0, 3, 1, 2])
    y = m.add("Conv", x, m.const(RNG.standard_normal((3, 1, 1, 1))))
    m.add("Relu", m.add("MaxPool", y, kernel_shape=[4, 4]), out="y")
    assert kinds(checked(m, tmp_path)) == ["ConvF32", "MaxPool"]


def test_a_clamp_stays_where_the_value_has_another_reader(tmp_path: Path) -> None:
    m = Model([1, 4])
    y = m.add("Gemm", "x", m.const(RNG.standard_normal((4, 4))))
    m.add("Add", y, m.add("Relu", y), out="y")
    assert kinds(checked(m, tmp_path)) == ["DenseF32", "UnaryF32", "BinaryF32"]


def test_tables_in_a_row_become_one(tmp_path: Path) -> None:
    m = Model([1, 16], "int8", "int8")
    y = m.requantize(m.add("HardSwish", m.dequantize("x", 0.1, 3)), 0.05, -100)
    m.quantize(m.add("Sigmoid", y), 1 / 256, -128, out="y")
    assert kinds(checked(m, tmp_path)) == ["LutS8"]


def test_requantizing_to_the_same_scale_is_nothing(tmp_path: Path) -> None:
    m = Model([1, 16], "int8", "int8")
    m.quantize(m.add("Relu", m.requantize(m.dequantize("x", 0.1, 3), 0.1, 3)), 0.1, 3, out="y")
    assert kinds(checked(m, tmp_path)) == ["LutS8"]


def test_requantizing_to_another_scale_is_a_table(tmp_path: Path) -> None:
    m = Model([1, 16], "int8", "int8")
    m.quantize(m.dequantize("x", 0.1, 3), 0.3, 5, out="y")
    assert kinds(checked(m, tmp_path)) == ["LutS8"]


# Where ONNX Runtime's optimizer changes what a file says, the file counts


def test_both_of_two_quantizers_in_a_row_count(tmp_path: Path) -> None:
    """ONNX Runtime drops the first, coarse one; without its optimizer it does not."""
    m = Model([1, 200])
    x = m.requantize(m.requantize("x", 0.25, 0), 0.01, 0)
    m.quantize(x, 0.01, 0, out="q")
    m.add("DequantizeLinear", "q", m.const(0.01), m.const(0, "int8"), out="y")
    checked(m, tmp_path, optimized=False)


def test_a_pad_of_zeros_before_a_max_pool_stays(tmp_path: Path) -> None:
    """ONNX Runtime makes it the pool's own padding, which never wins."""
    m = Model([1, 2, 1, 1])
    y = m.add("Pad", m.add("Softmax", "x"), m.const([0, 0, 1, 1, 0, 0, 1, 1], "int64"))
    y = m.add("Sub", y, m.const(2.0))
    y = m.add("Pad", y, m.const([0, 0, 1, 1, 0, 0, 1, 1], "int64"))
    m.add("MaxPool", y, kernel_shape=[2, 2], out="y")
    assert kinds(checked(m, tmp_path, optimized=False)).count("Pad") == 2


# Integers


@pytest.mark.parametrize("layer", ["Conv", "Gemm"])
def test_a_float_bias_is_rounded_to_the_accumulator(tmp_path: Path, layer: str) -> None:
    conv = layer == "Conv"
    m = Model([1, 9, 4, 4] if conv else [3, 9], "int8", "int8")
    w = m.weights(8, 9, 1, 1) if conv else m.weights(9, 8)
    bias = m.const(RNG.standard_normal(8))
    m.quantize(m.add(layer, m.dequantize("x", 0.1, 3), w, bias), 0.2, -7, out="y")
    assert only(checked(m, tmp_path), ConvS8 if conv else DenseS8)


def test_uint8_is_flipped_at_the_borders_only(tmp_path: Path) -> None:
    m = Model([1, 3, 5, 5], "uint8", "uint8")
    x = m.dequantize("x", 0.1, 120, "uint8")
    q = m.const(RNG.integers(0, 255, (4, 3, 3, 3)), "uint8")
    y = m.add("Conv", x, m.dequantize(q, 0.02, 128, "uint8"))
    y = m.requantize(m.add("Relu", y), 0.1, 0, "uint8")
    y = m.add("MaxPool", y, kernel_shape=[2, 2])
    m.quantize(y, 0.1, 0, "uint8", out="y")
    found = [k for k in kinds(checked(m, tmp_path)) if k != "Transpose"]
    assert found == ["FlipSign", "ConvS8", "MaxPool", "FlipSign"]


def test_uint8_without_a_zero_point_means_zero(tmp_path: Path) -> None:
    m = Model([1, 8], "float32", "float32")
    scale = m.const(0.01)
    q = m.add("QuantizeLinear", "x", scale)
    m.add("DequantizeLinear", q, scale, out="y")
    assert kinds(checked(m, tmp_path)) == ["Quantize", "Dequantize"]


def test_weights_with_a_zero_point(tmp_path: Path) -> None:
    m = Model([1, 8], "int8", "int8")
    y = m.add("Gemm", m.dequantize("x", 0.1, 3), m.weights(8, 4, point=7))
    m.quantize(y, 0.2, 0, out="y")
    op = only(checked(m, tmp_path), DenseS8).op
    assert isinstance(op, DenseS8) and op.w_zp is not None and op.w_zp.tolist() == [7] * 4


def test_subtraction_between_quantizers_is_one_integer_operator(tmp_path: Path) -> None:
    m = Model([1, 2, 3], "int8", "int8")
    x = m.dequantize("x", 0.1, 3)
    y = m.add("Sub", x, m.weights(2, 3))
    m.quantize(y, 0.1, 0, out="y")
    op = only(checked(m, tmp_path), BinaryS8).op
    assert isinstance(op, BinaryS8) and op.kind == "sub"


@pytest.mark.parametrize("flip", [False, True])
def test_adding_a_scalar_in_either_place_is_exact(tmp_path: Path, flip: bool) -> None:
    for _ in range(20):
        m = Model([1, 40], "int8", "int8")
        scales = RNG.integers(5, 100, 3) * 0.001
        points = RNG.integers(-128, 127, 2)
        pair = [m.dequantize("x", scales[0], int(points[0])), m.weights(1, 1, scale=scales[1])]
        y = m.add("Add", *(pair[::-1] if flip else pair))
        m.quantize(y, scales[2], int(points[1]), out="y")
        checked(m, tmp_path)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_left_in_float_is_integer_pooling(tmp_path: Path, keepdims: int) -> None:
    m = Model([1, 4, 3, 3], "int8", "int8")
    y = m.add("ReduceMean", m.dequantize("x", 0.1, 3), axes=[2, 3], keepdims=keepdims)
    y = m.add("Reshape", y, m.const([1, 4], "int64"))
    m.quantize(y, 0.1, 3, out="y")
    op = only(checked(m, tmp_path, 1), AvgPoolS8).op
    assert isinstance(op, AvgPoolS8) and op.form == "packed" and op.window.kernel == (3, 3)


@pytest.mark.parametrize("axes", [[1], [0, 2], [1, 3], [3], [1, 2, 3]])
def test_a_mean_over_any_axes(tmp_path: Path, axes: list[int]) -> None:
    m = Model([2, 4, 3, 5])
    m.add("ReduceMean", "x", axes=axes, keepdims=0, out="y")
    checked(m, tmp_path)


def test_a_window_over_the_whole_image_is_global(tmp_path: Path) -> None:
    m = Model([1, 6, 6, 160], "int8", "int8")
    x = m.add("Transpose", m.dequantize("x", 0.05, 0), perm=[0, 3, 1, 2])
    y = m.add("AveragePool", x, kernel_shape=[6, 6])
    m.quantize(y, 0.05, 0, out="y")
    op = only(checked(m, tmp_path), AvgPoolS8).op
    assert isinstance(op, AvgPoolS8) and op.form == "global"


def test_concat_of_differing_scales_requantizes_the_odd_one(tmp_path: Path) -> None:
    m = Model([1, 2, 3, 3], "int8", "int8")
    x = m.dequantize("x", 0.1, 3)
    other = m.requantize(m.add("Tanh", x), 1 / 128, 0)
    m.quantize(m.add("Concat", x, other, axis=1), 0.1, 3, out="y")
    graph = checked(m, tmp_path)
    assert kinds(graph) == ["LutS8", "Concat"]
    assert only(graph, LutS8).op.kind == "tanh+requantize"  # type: ignore[union-attr]


def test_split_is_slices(tmp_path: Path) -> None:
    m = Model([1, 5, 2, 2])
    m.nodes.append(helper.make_node("Split", ["x", m.const([2, 3], "int64")], ["a", "b"], axis=1))
    m.add("Concat", "b", "a", axis=1, out="y")
    graph = checked(m, tmp_path)
    assert kinds(graph) == ["Slice", "Slice", "Concat"]
    assert [n.op.starts for n in graph.nodes if isinstance(n.op, Slice)] == [
        (0, 0, 0, 0), (0, 2, 0, 0),
    ]  # fmt: skip


# Matrix products


@pytest.mark.parametrize("turn", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm_in_all_its_forms(tmp_path: Path, turn: tuple[int, int]) -> None:
    m = Model([3, 5] if turn[0] else [5, 3])
    w = m.const(RNG.standard_normal((4, 3) if turn[1] else (3, 4)))
    b = m.const(RNG.standard_normal((1, 4)))
    m.add("Gemm", "x", w, b, transA=turn[0], transB=turn[1], alpha=0.5, beta=2.0, out="y")
    assert [k for k in kinds(checked(m, tmp_path)) if k != "Transpose"] == ["DenseF32"]


def test_gemm_with_a_bias_per_row_is_a_product_and_a_sum(tmp_path: Path) -> None:
    m = Model([5, 3])
    w, b = m.const(RNG.standard_normal((3, 4))), m.const(RNG.standard_normal((5, 1)))
    m.add("Gemm", "x", w, b, alpha=0.5, beta=2.0, out="y")
    graph = checked(m, tmp_path)
    assert only(graph, DenseF32) and kinds(graph).count("BinaryF32") >= 2


def test_matmul_and_add_of_any_rank_is_one_dense_layer(tmp_path: Path) -> None:
    m = Model([2, 3, 4])
    y = m.add("MatMul", "x", m.const(RNG.standard_normal((4, 5))))
    m.add("Relu", m.add("Add", m.const(RNG.standard_normal(5)), y), out="y")
    graph = checked(m, tmp_path)
    assert kinds(graph) == ["DenseF32"]
    assert graph.tensors[graph.nodes[-1].outputs[0]].shape == (2, 3, 5)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_qlinear_conv(tmp_path: Path, dtype: str) -> None:
    m = Model([1, 3, 6, 6], dtype, dtype)
    shift = 128 if dtype == "uint8" else 0
    q = m.const(RNG.integers(-127, 128, (6, 3, 3, 3)), "int8")
    scales = m.const(RNG.uniform(0.01, 0.02, 6))
    quantized = [m.const(0.1), m.const(shift - 5, dtype), q, scales, m.const([0] * 6, "int8")]
    out = [m.const(0.2), m.const(shift + 9, dtype)]
    bias = m.const(RNG.integers(-500, 500, 6), "int32")
    m.add("QLinearConv", "x", *quantized, *out, bias, strides=[2, 2], pads=[1, 0, 1, 1], out="y")
    assert only(checked(m, tmp_path), ConvS8)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_qlinear_matmul(tmp_path: Path, dtype: str) -> None:
    m = Model([2, 6], dtype, dtype)
    shift = 128 if dtype == "uint8" else 0
    q = m.const(RNG.integers(-127, 128, (6, 3)), "int8")
    first = [m.const(0.1), m.const(shift - 5, dtype)]
    m.add("QLinearMatMul", "x", *first, q, m.const(0.02), m.const(3, "int8"),
          m.const(0.2), m.const(shift + 9, dtype), out="y")  # fmt: skip
    assert only(checked(m, tmp_path), DenseS8)


# Attributes in all their values


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("size", [(5, 5), (6, 7)])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]])
def test_pools_that_round_up(
    tmp_path: Path, kind: str, size: tuple[int, int], pads: list[int]
) -> None:
    m = Model([1, 2, *size], opset=22)
    m.add(kind, "x", kernel_shape=[2, 2], strides=[2, 2], pads=pads, ceil_mode=1, out="y")
    checked(m, tmp_path)


def test_a_dilated_max_pool(tmp_path: Path) -> None:
    m = Model([1, 2, 7, 8])
    m.add("MaxPool", "x", kernel_shape=[3, 2], dilations=[2, 3], out="y")
    checked(m, tmp_path)


@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pools_that_pad_by_themselves(tmp_path: Path, pool: str, auto_pad: str) -> None:
    m = Model([1, 2, 5, 8])
    m.add(pool, "x", kernel_shape=[2, 3], strides=[2, 2], auto_pad=auto_pad, out="y")
    checked(m, tmp_path)


@pytest.mark.parametrize(
    "frame", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
)
@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("out", [(7, 9), (3, 2), (10, 1), (5, 6)])
def test_nearest_resize(tmp_path: Path, frame: str, nearest: str, out: tuple[int, int]) -> None:
    m = Model([1, 2, 5, 6])
    sizes = m.const([1, 2, *out], "int64")
    m.add("Resize", "x", "", "", sizes, mode="nearest", nearest_mode=nearest,
          coordinate_transformation_mode=frame, out="y")  # fmt: skip
    checked(m, tmp_path)


@pytest.mark.parametrize("scales", [(0.6, 1.5), (2.0, 0.5), (1.3, 3.0)])
def test_resize_by_scales(tmp_path: Path, scales: tuple[float, float]) -> None:
    m = Model([1, 2, 5, 6])
    m.add("Resize", "x", "", m.const([1, 1, *scales]), mode="nearest", nearest_mode="floor",
          coordinate_transformation_mode="asymmetric", out="y")  # fmt: skip
    checked(m, tmp_path)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_softmax_over_any_axis(tmp_path: Path, kind: str, axis: int) -> None:
    m = Model([2, 3, 4, 5])
    m.add(kind, "x", axis=axis, out="y")
    checked(m, tmp_path)


def test_integer_softmax_over_channels(tmp_path: Path) -> None:
    m = Model([1, 3, 4, 5], "int8", "int8")
    m.quantize(m.add("Softmax", m.dequantize("x", 0.05, 3), axis=1), 1 / 256, -128, out="y")
    checked(m, tmp_path)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [([3, 1], [0, 4], [2, 3], [-1, 2]), ([-2], [2**40], [1], [1]), ([5], [-(2**40)], [3], [-2])],
)
def test_slices_of_every_kind(
    tmp_path: Path, starts: list[int], ends: list[int], axes: list[int], steps: list[int]
) -> None:
    m = Model([1, 3, 4, 6])
    m.add("Slice", "x", *(m.const(v, "int64") for v in (starts, ends, axes, steps)), out="y")
    checked(m, tmp_path)


def test_pads_for_some_axes(tmp_path: Path) -> None:
    m = Model([1, 3, 4, 6], opset=18)
    pads, axes = m.const([1, 0, 0, 2], "int64"), m.const([-1, 1], "int64")
    m.add("Pad", "x", pads, m.const(1.5), axes, out="y")
    checked(m, tmp_path)


def test_split_into_equal_parts(tmp_path: Path) -> None:
    m = Model([1, 6, 2, 2], opset=18)
    parts = ["a", "b", "c"]
    m.nodes.append(helper.make_node("Split", ["x"], parts, "split", axis=1, num_outputs=3))
    m.add("Concat", "c", "a", "b", axis=1, out="y")
    checked(m, tmp_path)


def test_clip_of_bare_integers(tmp_path: Path) -> None:
    m = Model([1, 60], "int8", "int8")
    m.add("Clip", "x", m.const(-5, "int8"), m.const(77, "int8"), out="y")
    assert kinds(checked(m, tmp_path)) == ["LutS8"]


def test_weights_in_constant_nodes(tmp_path: Path) -> None:
    m = Model([1, 4])
    value = numpy_helper.from_array(RNG.standard_normal((4, 2)).astype(np.float32))
    m.nodes.append(helper.make_node("Constant", [], ["w"], value=value))
    m.add("MatMul", "x", "w", out="y")
    assert kinds(checked(m, tmp_path)) == ["DenseF32"]


# Refusals


def test_all_that_cannot_be_lowered_is_said_at_once(tmp_path: Path) -> None:
    """Whichever pass it is that finds out."""
    m = Model([1, 2, 4, 4], opset=19)
    y = m.add("Resize", "x", "", m.const([1, 1, 2, 2]), mode="linear")
    y = m.add("Pad", y, m.const([0] * 7 + [1], "int64"), mode="wrap")
    y = m.add("Resize", y, "", m.const([1, 2, 1, 1]), mode="nearest")
    weights = m.add("Reshape", m.add("GlobalAveragePool", y), m.const([1, 4, 1, 1], "int64"))
    y = m.add("Conv", y, weights)
    m.add("Clip", y, m.add("ReduceMean", y, keepdims=0), out="y")
    with pytest.raises(UnsupportedError) as caught:
        lower(load(m.save(tmp_path)))
    text = str(caught.value)
    assert len(caught.value.problems) == 5, text
    for word in ("linear", "wrap", "only H and W", "weights", "limits"):
        assert word in text


def test_integer_arithmetic_without_scales_is_refused(tmp_path: Path) -> None:
    m = Model([1, 4], "int8", "int8")
    m.add("Add", "x", "x", out="y")
    with pytest.raises(UnsupportedError, match="int8"):
        lower(load(m.save(tmp_path)))


def test_constants_in_float_add_keep_their_shape(tmp_path: Path) -> None:
    m = Model([1, 4])
    m.add("Add", "x", m.const([1.0, 2, 3, 4]), out="y")
    assert only(checked(m, tmp_path), BinaryF32)
