# SPDX-License-Identifier: MIT
"""Whatever a user gets wrong ends with exit code 2 and a sentence that says what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simharness import cli, zoo

ZOO = "zoo:lenet5-int8"
FLOAT = TensorProto.FLOAT


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says on stderr when it refuses, with nothing on stdout."""
    assert cli.main([*arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err
    return printed.err


def model(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int | str] | None = None,
    constants: list[onnx.TensorProto] | None = None,
    *,
    opset: int = 17,
) -> str:
    """The path of a model from float input x to output y, as written, checked by nobody."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, shape or [1, 4])],
        [helper.make_empty_tensor_value_info("y")],
        constants or [],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(file.SerializeToString())
    return str(path)


def quantizer(path: Path, scale: float, zero_point: onnx.TensorProto) -> str:
    """The path of a model that quantizes x and takes it back."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "dequantize"),
    ]
    return model(
        path, nodes, constants=[numpy_helper.from_array(np.float32(scale), "s"), zero_point]
    )


ZERO = numpy_helper.from_array(np.int8(0), "z")


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no/such.onnx: there is no such file" in refused(capsys, "run", "no/such.onnx")


def test_a_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "is a directory" in refused(capsys, "run", str(tmp_path))


def test_an_unknown_zoo_network_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "lenet5-int8" in refused(capsys, "run", "zoo:resnet")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file(share: float, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = zoo.path("lenet5-int8").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: int(share * len(whole))])

    assert "cut.onnx: the file is cut short or damaged" in refused(
        capsys, "run", str(tmp_path / "cut.onnx")
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF" + bytes(60), b"PK\x03\x04rest"])
def test_a_file_that_is_no_model(
    content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(content)

    assert "not an ONNX file" in refused(capsys, "run", str(tmp_path / "m.onnx"))


def test_an_unknown_core_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "run", "--core", "m55", ZOO)

    assert "unknown core 'm55'" in said
    assert all(core in said for core in ("m0plus", "m3", "m4", "m7", "m33"))


def test_an_unknown_board_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "STM32F446" in refused(capsys, "run", "--board", "nucleo", ZOO)


def test_a_board_of_another_core(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "run", "--core", "m7", "--board", "STM32F446", ZOO)

    assert "STM32F446 has a Cortex-M4, not m7" in said


def test_a_clock_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert "up to 180000000 Hz" in refused(capsys, "run", "--clock", "1000MHz", ZOO)


def test_a_bad_board_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("name = ", encoding="utf-8")

    assert "b.toml" in refused(capsys, "run", "--board", str(tmp_path / "b.toml"), ZOO)


def test_an_unknown_engine_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unicorn" in refused(capsys, "run", "--engine", "gem5", ZOO)


def test_a_dynamic_shape(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"], "r")
    path = model(tmp_path / "m.onnx", [relu], ["batch", 4])

    assert "batch" in refused(capsys, "run", path)


@pytest.mark.parametrize("scale", [float("nan"), 0.0, float("inf"), -1.0])
def test_a_bad_scale(scale: float, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "scale" in refused(capsys, "run", quantizer(tmp_path / "m.onnx", scale, ZERO))


def test_a_zero_point_out_of_range(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wide = TensorProto(name="z", data_type=TensorProto.INT8, int32_data=[300])

    assert "300" in refused(capsys, "run", quantizer(tmp_path / "m.onnx", 0.5, wide))


def test_a_cycle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "second"),
        helper.make_node("Relu", ["b"], ["y"], "third"),
    ]

    assert "cycle" in refused(capsys, "run", model(tmp_path / "m.onnx", nodes))


def test_a_dangling_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "nowhere"], ["y"], "add")]

    assert "nowhere" in refused(capsys, "run", model(tmp_path / "m.onnx", nodes))


def test_a_huge_tensor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"], "r")

    refused(capsys, "run", model(tmp_path / "m.onnx", [relu], [1, 800_000_000]))


def test_all_unsupported_nodes_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Asinh", ["x"], ["a"], "alpha"),
        helper.make_node("Cosh", ["a"], ["y"], "omega"),
    ]

    said = refused(capsys, "run", model(tmp_path / "m.onnx", nodes))

    assert all(word in said for word in ("alpha", "omega", "Asinh", "Cosh", "opset 17"))


def test_what_load_and_lowering_refuse_comes_in_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An operator without a kernel, and an attribute of another one that no kernel has."""
    nodes = [
        helper.make_node("Cosh", ["x"], ["a"], "alpha"),
        helper.make_node("Pad", ["a", "pads"], ["b"], "beta", mode="wrap"),
        helper.make_node("Relu", ["b"], ["y"], "fine"),
    ]
    pads = numpy_helper.from_array(np.int64([0, 1, 0, 1]), "pads")

    said = refused(capsys, "run", model(tmp_path / "m.onnx", nodes, constants=[pads], opset=19))

    assert "node 'alpha' (Cosh): operator Cosh (opset 19) is not supported" in said
    assert "node 'beta' (Pad): mode 'wrap' is not supported" in said
    assert len(said.splitlines()) == 2


def test_what_is_invalid_and_what_is_unsupported_come_in_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nodes = [helper.make_node("Cosh", ["x"], ["y"], "alpha")]

    said = refused(capsys, "run", model(tmp_path / "m.onnx", nodes, ["batch", 4]))

    assert "operator Cosh" in said and "input 'x': has the shape ['batch', 4]" in said


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"image": np.zeros((3, 5, 5), np.int8)}, "shape (3, 5, 5)"),
        ({"image": np.zeros((1, 1, 28, 28), np.float64)}, "float64"),
        ({"other": np.zeros(1), "more": np.zeros(1)}, "'other'"),
        ({}, "image"),
    ],
)
def test_inputs_that_do_not_fit(
    arrays: dict[str, np.ndarray],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    np.savez(tmp_path / "i.npz", **arrays)

    assert words in refused(capsys, "run", ZOO, "--inputs", str(tmp_path / "i.npz"))


def test_inputs_that_are_no_archive(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "i.npz").write_bytes(b"hello")

    said = refused(capsys, "run", ZOO, "--inputs", str(tmp_path / "i.npz"))
    assert "no .npz file" in said
    assert "pickle" not in said
    refused(capsys, "run", ZOO, "--inputs", str(tmp_path / "none.npz"))


def test_a_failed_build_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"hello")
    refused(capsys, "build", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "out" / "c"))

    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_an_output_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused(capsys, "build", ZOO, "-o", str(tmp_path / "file"))
    refused(capsys, "build", ZOO, "-o", str(tmp_path / "file" / "below"))

    assert cli.main(["run", ZOO, "--samples", "1", "-q", "-o", str(tmp_path / "no" / "r")]) == 2
