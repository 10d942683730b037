# SPDX-License-Identifier: MIT
"""Any small network means after loading and lowering what it means to ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_networks import Array, example, means, models, runtime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from codegen.load import load
from codegen.oracle import run
from codegen.passes import lower


def both(content: bytes, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """(ours, ONNX Runtime's) on one random input, all outputs in a row."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        graph = lower(load(path))
        x = example(graph, shape)
        note(" ".join(f"{type(node.op).__name__}" for node in graph.nodes))
        expected = runtime(path).run(None, {"x": x})
        ours = run(graph, {"x": x})
    for name, theirs in zip(graph.outputs, expected, strict=True):
        assert ours[name].shape == theirs.shape
    return (
        np.concatenate([ours[name].reshape(-1) for name in graph.outputs]),
        np.concatenate([theirs.reshape(-1) for theirs in expected]),
    )


@given(models(""))
def test_float_networks(model: tuple[bytes, tuple[int, ...]]) -> None:
    ours, theirs = both(*model)
    scale = max(float(np.abs(theirs).max(initial=0)), 0.1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * scale)


@given(models("int8"))
def test_int8_networks(model: tuple[bytes, tuple[int, ...]]) -> None:
    np.testing.assert_array_equal(*both(*model))


@given(models("uint8"))
def test_uint8_networks(model: tuple[bytes, tuple[int, ...]]) -> None:
    np.testing.assert_array_equal(*both(*model))


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """Four random inputs for quantize_static."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(3)
        self.inputs = iter([{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(4)])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.inputs, None)


@settings(max_examples=25)
@given(
    models(""),
    st.sampled_from(QuantFormat),
    st.booleans(),
    st.sampled_from(list(QuantType)[:2]),
    st.booleans(),
)
def test_networks_that_quantize_static_makes(
    model: tuple[bytes, tuple[int, ...]],
    form: QuantFormat,
    per_channel: bool,
    activation: QuantType,
    pairs: bool,
) -> None:
    """Float networks through ONNX Runtime's own quantizer, in both its formats: the main road."""
    content, shape = model
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "f.onnx", Path(folder) / "q.onnx"
        source.write_bytes(content)
        logging.disable(logging.WARNING)  # it advises at length
        with warnings.catch_warnings(action="ignore"):
            quantize_static(
                source, target, Samples(shape), form, per_channel=per_channel,
                activation_type=activation, weight_type=QuantType.QInt8,
                extra_options={"AddQDQPairToWeight": pairs},
            )  # fmt: skip
        logging.disable(logging.NOTSET)
        ours, theirs = both(target.read_bytes(), shape)
    # The outputs are dequantized: a step is far larger than this.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@given(means())
def test_a_mean_left_in_float(model: tuple[bytes, tuple[int, ...]]) -> None:
    """Sums in another order may fall on the other side of a tie: at most one step."""
    ours, theirs = both(*model)
    assert np.abs(ours.astype(np.int32) - theirs.astype(np.int32)).max() <= 1


ROUND_SCALES = st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.2])
"""Where scales are round numbers, sums lie on ties of the rounding."""


@pytest.mark.parametrize("kind", ["MatMul", "ConvTranspose"])
@given(ROUND_SCALES, ROUND_SCALES, ROUND_SCALES, st.integers(0, 99))
def test_a_product_left_in_float(
    kind: str, x_scale: float, w_scale: float, y_scale: float, seed: int
) -> None:
    """ONNX Runtime fuses neither a MatMul behind a Flatten without quantizers, nor any
    ConvTranspose: at most one step."""
    shape = (24, 10) if kind == "MatMul" else (2, 5, 3, 3)
    weights = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    values = {
        "xs": np.float32(x_scale), "ws": np.float32(w_scale), "ys": np.float32(20 * y_scale),
        "z": np.int8(0), "w": weights, }  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "z"], ["a"]),
        helper.make_node("Flatten" if kind == "MatMul" else "Identity", ["a"], ["b"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "z"], ["c"]),
        helper.make_node(kind, ["b", "c"], ["d"]),
        helper.make_node("QuantizeLinear", ["d", "ys", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [8, 2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    ours, theirs = both(model.SerializeToString(), (8, 2, 3, 4))
    assert np.abs(ours.astype(np.int32) - theirs.astype(np.int32)).max() <= 1
