# SPDX-License-Identifier: MIT
"""Tables are ONNX Runtime's, entry by entry, for random scales and zero points."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codegen.ir import I8
from codegen.luts import table
from codegen.ops import UnaryF32, UnaryKind
from codegen.oracle.elementwise import unary_f32

scales = st.floats(2.0**-17, 4.0, width=32)
zero_points = st.integers(-128, 127)


def unary_table(kind: UnaryKind, *quants: Any, p0: float = 0.0, p1: float = 0.0) -> I8:
    return table(lambda x: unary_f32(UnaryF32(kind, p0, p1), x.shape, x), *quants)


def runtime_table(
    kind: UnaryKind, in_scale: float, in_zp: int, out_scale: float, out_zp: int, **params: float
) -> np.ndarray[Any, Any]:
    """The table that a QDQ model of one operator gives in ONNX Runtime."""
    types = {
        "clip": "Clip", "leakyrelu": "LeakyRelu", "hardswish": "HardSwish",
        "hardsigmoid": "HardSigmoid", "sigmoid": "Sigmoid", "tanh": "Tanh", "erf": "Erf",
        "gelu": "Gelu", "gelu_tanh": "Gelu",
    }  # fmt: skip
    values: dict[str, object] = {
        "is": np.float32(in_scale), "iz": np.int8(in_zp),
        "os": np.float32(out_scale), "oz": np.int8(out_zp),
    }  # fmt: skip
    inputs = ["f"]
    attributes: dict[str, Any] = dict(params)
    if kind == "gelu_tanh":
        attributes["approximate"] = "tanh"
    if kind == "clip":
        values |= {name: np.float32(value) for name, value in params.items()}
        inputs += ["lo", "hi"]
        attributes = {}
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["x", "is", "iz"], ["f"]),
            helper.make_node(types[kind], inputs, ["g"], **attributes),
            helper.make_node("QuantizeLinear", ["g", "os", "oz"], ["y"]),
        ],
        "table",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [256])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [256])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = ort.InferenceSession(model.SerializeToString(), options)
    (y,) = session.run(None, {"x": np.arange(-128, 128, dtype=np.int8)})
    return np.asarray(y)


@pytest.mark.parametrize("kind", ["hardswish", "sigmoid", "tanh", "erf", "gelu", "gelu_tanh"])
@given(in_scale=scales, in_zp=zero_points, out_scale=scales, out_zp=zero_points)
def test_plain_kinds_equal_onnx_runtime(
    kind: UnaryKind, in_scale: float, in_zp: int, out_scale: float, out_zp: int
) -> None:
    quants = in_scale, in_zp, out_scale, out_zp
    np.testing.assert_array_equal(unary_table(kind, *quants), runtime_table(kind, *quants))


@given(scales, zero_points, scales, zero_points, st.floats(0, 2, width=32))
def test_leakyrelu_equals_onnx_runtime(
    in_scale: float, in_zp: int, out_scale: float, out_zp: int, alpha: float
) -> None:
    quants = in_scale, in_zp, out_scale, out_zp
    expected = runtime_table("leakyrelu", *quants, alpha=alpha)
    np.testing.assert_array_equal(unary_table("leakyrelu", *quants, p0=alpha), expected)


@given(scales, zero_points, st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_hardsigmoid_equals_onnx_runtime(
    in_scale: float, in_zp: int, alpha: float, beta: float
) -> None:
    quants = in_scale, in_zp, 1 / 256, -128
    expected = runtime_table("hardsigmoid", *quants, alpha=alpha, beta=beta)
    actual = unary_table("hardsigmoid", *quants, p0=alpha, p1=beta)
    np.testing.assert_array_equal(actual, expected)


@given(scales, zero_points, scales, zero_points, st.floats(-6, 0), st.floats(0, 6))
def test_clip_equals_onnx_runtime(
    in_scale: float, in_zp: int, out_scale: float, out_zp: int, lo: float, hi: float
) -> None:
    quants = in_scale, in_zp, out_scale, out_zp
    expected = runtime_table("clip", *quants, lo=lo, hi=hi)
    np.testing.assert_array_equal(unary_table("clip", *quants, p0=lo, p1=hi), expected)
