# SPDX-License-Identifier: MIT
"""However a file is damaged, loading ends in a graph or in a message, never in a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codegen.errors import CodegenError
from codegen.load import load
from codegen.passes import lower


def sound_model() -> bytes:
    """A small quantized network that uses most of what the loader reads."""
    constants = [
        numpy_helper.from_array(np.float32(0.1), "scale"),
        numpy_helper.from_array(np.int8(3), "zero"),
        numpy_helper.from_array(np.ones((2, 3, 3, 3), np.int8), "w"),
        numpy_helper.from_array(np.ones(2, np.float32), "w_scale"),
        numpy_helper.from_array(np.zeros(2, np.int8), "w_zero"),
        numpy_helper.from_array(np.int64([1, -1]), "shape"),
        numpy_helper.from_array(np.int64([0, 0, 1, 1, 0, 0, 1, 1]), "pads"),
    ]
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantize"),
        node("DequantizeLinear", ["q", "scale", "zero"], ["d"], "dequantize"),
        node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], "weights", axis=0),
        node("Pad", ["d", "pads"], ["p"], "pad"),
        node("Conv", ["p", "wd"], ["c"], "conv", strides=[2, 2], group=1),
        node("Relu", ["c"], ["r"], "relu"),
        node("QuantizeLinear", ["r", "scale", "zero"], ["rq"], "requantize"),
        node("DequantizeLinear", ["rq", "scale", "zero"], ["rd"], "again"),
        node("MaxPool", ["rd"], ["m"], "pool", kernel_shape=[2, 2]),
        node("Reshape", ["m", "shape"], ["f"], "flatten"),
        node("Softmax", ["f"], ["y"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "sound",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


SOUND = sound_model()


def attempt(content: bytes) -> bool:
    """Whether the file loads and lowers; raises what is not a message for the user."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        try:
            lower(load(path))
        except CodegenError as error:
            assert error.problems
            return False
    return True


def test_the_sound_model_is_sound() -> None:
    assert attempt(SOUND)


@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4))
def test_changed_bytes(changes: list[tuple[int, int]]) -> None:
    content = bytearray(SOUND)
    for place, value in changes:
        content[place] = value
    attempt(bytes(content))


@given(st.integers(0, len(SOUND)), st.integers(0, len(SOUND)))
def test_missing_bytes(start: int, length: int) -> None:
    attempt(SOUND[:start] + SOUND[start + length :])


@given(st.data())
def test_changed_fields(data: st.DataObject) -> None:
    """Damage that still parses: other names, dimensions, types, attributes."""
    model = onnx.load_from_string(SOUND)
    for _ in range(data.draw(st.integers(1, 3))):
        node = data.draw(st.sampled_from([n for n in model.graph.node if n.input]))
        match data.draw(st.integers(0, 6)):
            case 0:
                names = [
                    name for other in model.graph.node for name in (*other.input, *other.output)
                ]
                index = data.draw(st.integers(0, len(node.input) - 1))
                node.input[index] = data.draw(st.sampled_from(["", "ghost", *names]))
            case 1:
                node.op_type = data.draw(st.sampled_from(
                    ["Relu", "Add", "Gemm", "Concat", "Slice", "Resize", "Loop", "", "QLinearConv"]
                ))  # fmt: skip
            case 2:
                tensor = data.draw(st.sampled_from(list(model.graph.initializer)))
                tensor.dims[:] = data.draw(st.lists(st.integers(-1, 2**40), max_size=4))
            case 3:
                tensor = data.draw(st.sampled_from(list(model.graph.initializer)))
                tensor.data_type = data.draw(st.integers(0, 23))
            case 4:
                shape = model.graph.input[0].type.tensor_type.shape
                data.draw(st.sampled_from(list(shape.dim))).dim_value = data.draw(
                    st.integers(-1, 2**40)
                )
            case 5:
                for attribute in node.attribute:
                    attribute.i = data.draw(st.integers(-(2**40), 2**40))
                    attribute.ints[:] = data.draw(st.lists(st.integers(-3, 9), max_size=5))
            case 6:
                del node.input[data.draw(st.integers(0, len(node.input) - 1)) :]
    attempt(model.SerializeToString())
