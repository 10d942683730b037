# SPDX-License-Identifier: MIT
"""Operators that are rewritten: each network gives ONNX Runtime's output, by the layers wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_passes import RNG, Model, checked, kinds, only

from codegen.errors import UnsupportedError
from codegen.load import load
from codegen.ops import BinaryF32, ConvF32, ConvS8, LutS8, PReluS8, Slice, UnaryF32
from codegen.passes import lower


def test_a_chain_of_functions_between_quantizers_is_one_table(tmp_path: Path) -> None:
    m = Model([2, 3, 50], "int8", "int8")
    x = m.add("Div", m.dequantize("x", 0.05, 3), m.const(1.41421354))
    x = m.add("Add", m.const(0.25), m.add("Erf", x))
    m.quantize(x, 0.01, -7, out="y")
    op = only(checked(m, tmp_path), LutS8).op
    assert isinstance(op, LutS8) and op.kind == "div+erf+add"


def test_a_value_read_twice_ends_the_chain(tmp_path: Path) -> None:
    m = Model([2, 50], "int8", "int8")
    x = m.add("Div", m.dequantize("x", 0.05, 3), m.const(3.0))
    m.quantize(m.add("Mul", x, m.add("Erf", x)), 0.01, -7, out="y")
    assert "LutS8" not in kinds(checked(m, tmp_path))


def test_division_by_a_power_of_two_multiplies(tmp_path: Path) -> None:
    m = Model([1, 3, 4])
    m.add("Div", m.add("Div", "x", m.const([[0.5], [-4.0], [2.0**-20]])), m.const(3.0), out="y")
    graph = checked(m, tmp_path)
    found = [node.op.kind for node in graph.nodes if isinstance(node.op, BinaryF32)]
    assert found == ["mul", "div"]


def test_prelu_with_a_slope_per_channel(tmp_path: Path) -> None:
    m = Model([1, 6, 5, 4], "int8", "int8")
    slope = m.const(RNG.uniform(-1, 1, (6, 1, 1)))
    m.quantize(m.add("PRelu", m.dequantize("x", 0.1, 3), slope), 0.05, -20, out="y")
    assert only(checked(m, tmp_path), PReluS8)


def test_prelu_with_a_quantized_slope(tmp_path: Path) -> None:
    m = Model([1, 6, 5, 4], "int8", "int8")
    slope = m.weights(6, 1, 1, scale=0.01)
    m.quantize(m.add("PRelu", m.dequantize("x", 0.1, 3), slope), 0.1, -20, out="y")
    assert only(checked(m, tmp_path), PReluS8)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_prelu_with_one_slope_is_a_leaky_relu(tmp_path: Path, dtype: str) -> None:
    m = Model([1, 6, 5], dtype, dtype)
    x = "x" if dtype == "float32" else m.dequantize("x", 0.1, 3)
    x = m.add("PRelu", x, m.const([[0.25]]), out="y" if dtype == "float32" else "")
    if dtype == "int8":
        m.quantize(x, 0.05, -20, out="y")
    graph = checked(m, tmp_path)
    op = only(graph, UnaryF32 if dtype == "float32" else LutS8).op
    assert isinstance(op, UnaryF32 | LutS8) and op.kind == "leakyrelu"


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_is_a_function_or_a_table(tmp_path: Path, approximate: str) -> None:
    m = Model([1, 700], opset=20)
    x = m.add("Gelu", "x", approximate=approximate)
    x = m.add("Gelu", m.requantize(x, 0.02, -120), approximate=approximate)
    m.quantize(x, 0.01, -120, out="y")
    m.out = "int8"
    assert kinds(checked(m, tmp_path)) == ["UnaryF32", "Quantize", "LutS8"]


@pytest.mark.parametrize(
    ("indices", "steps"),
    [(-1, [1]), ([2], [1]), ([0, 1, 2], [1]), ([3, 1], [-2]), ([[0, 1], [4, 4]], [1, 1, 1])],
)
def test_constant_indices_are_slices(tmp_path: Path, indices: object, steps: list[int]) -> None:
    m = Model([2, 5, 3])
    m.add("Relu", m.add("Gather", "x", m.const(indices, "int64"), axis=1), out="y")
    graph = checked(m, tmp_path)
    slices = [node.op for node in graph.nodes if isinstance(node.op, Slice)]
    assert [op.steps[1] for op in slices] == steps


@pytest.mark.parametrize(
    ("places", "message"),
    [([5], "outside an axis of 5"), ([0, 0] * 40, "80 pieces, more than 64")],
)
def test_a_gather_that_is_no_few_slices_is_refused(
    tmp_path: Path, places: list[int], message: str
) -> None:
    m = Model([2, 5, 3])
    m.add("Gather", "x", m.const(places, "int64"), axis=1, out="y")
    with pytest.raises(UnsupportedError, match=message):
        lower(load(m.save(tmp_path)))


@pytest.mark.parametrize(
    "attributes",
    [
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID", "strides": [3, 2]},
        {"output_shape": [9, 8], "strides": [2, 2]},
        {"output_shape": [11, 10], "strides": [2, 2], "output_padding": [1, 1]},
        {"strides": [4, 4], "pads": [1, 0, 0, 2]},
        {"dilations": [2, 3], "strides": [2, 2], "pads": [0, 1, 2, 1]},
    ],
)
def test_transposed_convolutions(tmp_path: Path, attributes: dict[str, object]) -> None:
    m = Model([1, 4, 5, 4])
    w = m.const(RNG.standard_normal((4, 3, 3, 3)))
    m.add("ConvTranspose", "x", w, m.const([1.0, 2.0, 3.0]), out="y", **attributes)
    assert "ConvF32" in kinds(checked(m, tmp_path))


def test_an_upsampling_convolution_is_one_convolution(tmp_path: Path) -> None:
    """Kernel and stride alike, as decoders have it: all phases see the same pixel."""
    m = Model([1, 4, 5, 4], "int8", "int8")
    w = m.weights(4, 3, 2, 2, point=5)
    x = m.add("Relu", m.add("ConvTranspose", m.dequantize("x", 0.1, 3), w, strides=[2, 2]))
    m.quantize(x, 0.317, -128, out="y")
    graph = checked(m, tmp_path)
    op = only(graph, ConvS8).op
    assert isinstance(op, ConvS8) and op.window.kernel == (1, 1)
    assert kinds(graph) == ["Transpose", "ConvS8", "Transpose"]
    assert graph.tensors[only(graph, ConvS8).outputs[0]].shape == (1, 5, 4, 12)


def test_phases_of_differing_reach_multiply_only_what_counts(tmp_path: Path) -> None:
    m = Model([1, 4, 5, 4])
    w = m.const(RNG.standard_normal((4, 3, 3, 3)))
    m.add("ConvTranspose", "x", w, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1], out="y")
    graph = checked(m, tmp_path)
    windows = [node.op.window.kernel for node in graph.nodes if isinstance(node.op, ConvF32)]
    assert windows == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_layer_normalization_runs_in_float_between_quantizers(tmp_path: Path) -> None:
    m = Model([3, 5, 20], "int8", "int8")
    x = m.add("LayerNormalization", m.dequantize("x", 0.05, 3), m.weights(20), m.weights(20))
    m.quantize(x, 0.02, 1, out="y")
    assert kinds(checked(m, tmp_path)) == ["Dequantize", "LayerNormF32", "Quantize"]


def test_a_layer_normalization_by_a_tensor_is_refused(tmp_path: Path) -> None:
    m = Model([3, 8])
    m.add(
        "LayerNormalization",
        "x",
        m.add("Slice", "x", *(m.const([v], "int64") for v in (0, 1, 0))),
        out="y",
    )
    with pytest.raises(UnsupportedError, match="scale or bias is computed at run time"):
        lower(load(m.save(tmp_path)))


@pytest.mark.parametrize("attributes", [{}, {"axis": 1, "keepdims": 0, "select_last_index": 1}])
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_the_place_of_the_largest(tmp_path: Path, dtype: str, attributes: dict[str, int]) -> None:
    m = Model([3, 4, 5, 2], dtype, "int64")
    x = "x" if dtype == "float32" else m.dequantize("x", 0.1, 3, dtype)
    m.add("ArgMax", x, out="y", **attributes)
    assert "Dequantize" not in kinds(checked(m, tmp_path))


def test_places_are_results_only(tmp_path: Path) -> None:
    m = Model([3, 4], out="int64")
    m.add("Add", m.add("ArgMax", "x"), m.const([1], "int64"), out="y")
    with pytest.raises(UnsupportedError, match="int64"):
        lower(load(m.save(tmp_path)))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_clamp_behind_the_phases_is_in_each_of_them(tmp_path: Path, dtype: str) -> None:
    m = Model([1, 4, 5, 4], dtype, dtype)
    x = "x" if dtype == "float32" else m.dequantize("x", 0.1, 3)
    w = m.const(RNG.standard_normal((4, 3, 3, 3))) if dtype == "float32" else m.weights(4, 3, 3, 3)
    x = m.add("ConvTranspose", x, w, strides=[2, 2])
    if dtype == "int8":
        x = m.requantize(x, 0.317, 5)
    x = m.add("Clip", x, m.const(-1.0), m.const(2.0), out="y" if dtype == "float32" else "")
    if dtype == "int8":
        m.quantize(x, 0.317, 5, out="y")
    graph = checked(m, tmp_path)
    assert not {"LutS8", "UnaryF32"} & set(kinds(graph))
    assert kinds(graph).count("ConvF32" if dtype == "float32" else "ConvS8") == 4


def test_a_dequantized_constant_that_is_joined_is_quantized_when_built(tmp_path: Path) -> None:
    """The class token of a vision transformer, in front of its patches."""
    m = Model([1, 4, 6], "int8", "int8")
    token = m.weights(1, 1, 6, scale=0.03, point=4)
    x = m.add("Concat", token, m.dequantize("x", 0.1, 3), axis=1)
    m.quantize(x, 0.05, 1, out="y")
    assert "Quantize" not in kinds(checked(m, tmp_path))


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose", "Gemm"])
def test_float_weights_between_quantizers_are_quantized(tmp_path: Path, kind: str) -> None:
    """As ONNX Runtime's optimizer does it, over the whole range of the weights."""
    m = Model([2, 4] if kind == "Gemm" else [2, 4, 9, 8], "int8", "int8")
    shape = (4, 5) if kind == "Gemm" else (4, 4, 3, 3)
    w, b = m.const(RNG.uniform(-0.3, 0.5, shape)), m.const(RNG.standard_normal(shape[1]))
    m.quantize(m.add(kind, m.dequantize("x", 0.0731, 3), w, b), 0.0397, 5, out="y")
    assert {"ConvS8", "DenseS8"} & set(kinds(checked(m, tmp_path)))
