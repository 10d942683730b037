# SPDX-License-Identifier: MIT
"""Loading accepts what exporters write and refuses the rest, naming every problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from codegen.errors import CodegenError, ModelError, UnsupportedError
from codegen.ir import OnnxOp
from codegen.load import load

FLOAT = TensorProto.FLOAT


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int | str | None],
    initializers: list[onnx.TensorProto] | None = None,
    *,
    opset: int = 17,
    outputs: tuple[str, ...] = ("y",),
    element: int = FLOAT,
) -> Path:
    """Write a model with input x and untyped outputs; no checker runs over it."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        initializers or [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def relu(name: str = "r", source: str = "x", target: str = "y") -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target], name)


def quantized(tmp_path: Path, scale: float, zero_point: onnx.TensorProto) -> Path:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "dq"),
    ]
    scales = numpy_helper.from_array(np.float32(scale), "s")
    zero_point.name = "z"
    return save(tmp_path / "q.onnx", nodes, [1, 4], [scales, zero_point])


ZERO = numpy_helper.from_array(np.int8(0))


def test_a_graph_carries_shapes_types_and_quantization(tmp_path: Path) -> None:
    graph = load(quantized(tmp_path, 0.5, numpy_helper.from_array(np.int8(-3))))
    assert graph.inputs == ("x",) and graph.outputs == ("y",)
    q = graph.tensors["q"]
    assert (q.shape, q.dtype) == ((1, 4), "int8")
    assert q.quant is not None
    assert float(q.quant.scale) == 0.5 and int(q.quant.zero_point) == -3


@pytest.mark.parametrize("opset", [13, 17, 21, onnx.defs.onnx_opset_version()])
def test_every_opset_from_13_on_loads(tmp_path: Path, opset: int) -> None:
    assert load(save(tmp_path / "m.onnx", [relu()], [1, 2], opset=opset)).nodes


@pytest.mark.parametrize("opset", [12, onnx.defs.onnx_opset_version() + 1])
def test_other_opsets_are_refused(tmp_path: Path, opset: int) -> None:
    with pytest.raises(ModelError, match=f"opset {opset} is outside"):
        load(save(tmp_path / "m.onnx", [relu()], [1, 2], opset=opset))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "absent.onnx")


def test_a_truncated_file_is_said_to_be_cut_short(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [relu()], [1, 2])
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelError, match="cut short"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"hello world\n" * 9])
def test_something_else_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX file"):
        load(path)


@pytest.mark.parametrize("dim", ["batch", None, 0])
def test_dynamic_shapes_are_refused_with_a_remedy(tmp_path: Path, dim: str | None) -> None:
    with pytest.raises(ModelError, match=r"is dynamic or empty.*make_dynamic_shape_fixed"):
        load(save(tmp_path / "m.onnx", [relu()], [dim, 2]))


def test_contradicting_shapes_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    with pytest.raises(ModelError, match="shape inference fails"):
        load(save(tmp_path / "m.onnx", [node], [1, 4], [weights]))


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (float("nan"), "NaN or infinite"),
        (float("inf"), "NaN or infinite"),
        (0.0, "positive"),
        (-1.0, "positive"),
    ],
)
def test_bad_scales_are_refused(tmp_path: Path, scale: float, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load(quantized(tmp_path, scale, ZERO))
    assert len(caught.value.problems) == 2  # both nodes that use it are named


def test_a_negative_weight_scale_is_borne(tmp_path: Path) -> None:
    """Converters write them: MCUNet has nine convolutions with one."""
    node = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["y"], "dq")
    constants = [
        numpy_helper.from_array(np.int8([[1, 2]]), "w"),
        numpy_helper.from_array(np.float32(-0.5), "s"),
        numpy_helper.from_array(np.int8(0), "z"),
    ]
    assert load(save(tmp_path / "m.onnx", [node, relu("r", "x", "y2")], [1], constants))


def test_a_zero_point_that_does_not_fit_its_type_is_refused(tmp_path: Path) -> None:
    crooked = TensorProto(data_type=TensorProto.INT8, int32_data=[300])
    with pytest.raises(ModelError, match="300 is out of range for int8"):
        load(quantized(tmp_path, 0.5, crooked))


def test_a_zero_point_of_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load(quantized(tmp_path, 0.5, numpy_helper.from_array(np.int32(300))))


def test_an_input_from_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'r'.*'ghost' comes from nowhere"):
        load(save(tmp_path / "m.onnx", [relu("r", "ghost")], [1, 2]))


def test_an_output_from_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'ghost'"):
        load(save(tmp_path / "m.onnx", [relu()], [1, 2], outputs=("y", "ghost")))


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], "first"),
        relu("second", "a", "b"),
        relu("third", "b", "y"),
    ]
    with pytest.raises(ModelError, match="cycle"):
        load(save(tmp_path / "m.onnx", nodes, [1, 2]))


def test_a_tensor_made_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="made twice"):
        load(save(tmp_path / "m.onnx", [relu("a"), relu("b")], [1, 2]))


def test_nodes_out_of_order_are_sorted(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [relu("late", "a", "y"), relu("early", "x", "a")], [1, 2])
    assert [node.name for node in load(path).nodes] == ["early", "late"]


def test_all_unsupported_nodes_are_listed_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Einsum", ["x"], ["a"], "sum", equation="ij->ji"),
        helper.make_node("QGemm", ["a"], ["b"], "gemm", domain="com.microsoft"),
        helper.make_node("Det", ["b"], ["y"], "det"),
    ]
    with pytest.raises(UnsupportedError) as caught:
        load(save(tmp_path / "m.onnx", nodes, [2, 2]))
    text = str(caught.value)
    for word in ("'sum'", "Einsum", "'gemm'", "QGemm", "com.microsoft", "'det'", "Det", "opset 17"):
        assert word in text
    assert len(caught.value.problems) == 3


def test_an_operator_on_constants_only_is_no_obstacle(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["n"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    size = numpy_helper.from_array(np.int64([2]), "n")
    assert load(save(tmp_path / "m.onnx", nodes, [1, 2], [size]))


def huge(**fields: object) -> onnx.TensorProto:
    """A tensor that claims 3 GB and carries nothing."""
    return TensorProto(name="w", data_type=FLOAT, dims=[3, 1 << 28], **fields)


def test_a_3_gb_tensor_is_refused_unseen(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    with pytest.raises(ModelError, match="takes 3,221,225,472 bytes"):
        load(save(tmp_path / "m.onnx", [node], [1, 2], [huge(raw_data=b"")]))


def test_a_3_gb_activation_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Expand", ["x", "n"], ["e"])
    with pytest.raises(CodegenError):
        load(save(tmp_path / "e.onnx", [node, relu("r", "e")], [1, 1], [
            numpy_helper.from_array(np.int64([3, 1 << 28]), "n")]))  # fmt: skip
    with pytest.raises(ModelError, match="takes 3,221,225,472 bytes"):
        load(save(tmp_path / "m.onnx", [relu()], [3, 1 << 28]))


def external(tmp_path: Path, location: str, *, offset: int = 0, length: int = 8) -> Path:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    (tmp_path / "model").mkdir(exist_ok=True)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return save(tmp_path / "model" / "m.onnx", [node], [1, 2], [tensor])


def test_external_data_is_read_from_beside_the_model(tmp_path: Path) -> None:
    path = external(tmp_path, "weights.bin", offset=4)
    (tmp_path / "model" / "weights.bin").write_bytes(np.float32([9, 1.5, -2]).tobytes())
    weights = load(path).constant("w")
    assert weights is not None and weights.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", ""])
def test_external_data_never_leaves_the_directory(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    with pytest.raises(ModelError, match="outside the model's directory"):
        load(external(tmp_path, location))


def test_external_data_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    path = external(tmp_path, "link.bin")
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelError, match="outside the model's directory"):
        load(path)


@pytest.mark.parametrize(("offset", "length"), [(4, 8), (-1, 8), (0, 3_000_000_000), (0, 4)])
def test_external_data_that_does_not_fit_is_refused(
    tmp_path: Path, offset: int, length: int
) -> None:
    path = external(tmp_path, "weights.bin", offset=offset, length=length)
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(8))
    with pytest.raises(ModelError, match="belongs to another model"):
        load(path)


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'weights\.bin' is missing"):
        load(external(tmp_path, "weights.bin"))


def test_half_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="FLOAT16"):
        load(save(tmp_path / "m.onnx", [relu()], [1, 2], element=TensorProto.FLOAT16))


def _qgemm(tmp_path: Path, a_scale: object, **attrs: object) -> Path:
    constants = {
        "as": np.asarray(a_scale), "bs": np.float32([0.25, 0.5]), "ys": np.float32(2),
        "z": np.int8(0), "zs": np.int8([0, 0]), "b": np.int8([[1, 2], [3, 4]]),
        "c": np.int32([5, 6]), }  # fmt: skip
    inputs = ["x", "as", "z", "b", "bs", "zs", "c", "ys", "z"]
    node = helper.make_node("QGemm", inputs, ["y"], "gemm", domain="com.microsoft", **attrs)
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    return save(tmp_path / "m.onnx", [node], [1, 2], tensors, element=TensorProto.INT8)


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_qoperator_node_loads_as_its_standard_form(tmp_path: Path, transposed: int) -> None:
    graph = load(_qgemm(tmp_path, np.float32(0.5), transB=transposed))
    assert [node.op.type for node in graph.nodes if isinstance(node.op, OnnxOp)] == [
        *["DequantizeLinear"] * 3, "Gemm", "QuantizeLinear", ]  # fmt: skip
    bias = graph.nodes[2].inputs[1]
    np.testing.assert_array_equal(graph.constant(bias), np.float32([0.125, 0.25]))
    quant = graph.tensors["b"].quant
    assert quant is not None and quant.axis == 1 - transposed


@pytest.mark.parametrize(
    ("a_scale", "attrs"),
    [
        (np.float32(0.5), {"alpha": 2.0}),
        (np.float32(0.5), {"alpha": "text"}),
        (np.float32(0.5), {"unheard": 1}),
        (np.float32([0.5] * 3), {}),
        (np.int64(1), {}),
    ],
)
def test_a_qoperator_node_without_standard_form_is_refused_by_name(
    tmp_path: Path, a_scale: object, attrs: dict[str, object]
) -> None:
    with pytest.raises(UnsupportedError, match="'gemm'"):
        load(_qgemm(tmp_path, a_scale, **attrs))
