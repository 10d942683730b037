# SPDX-License-Identifier: MIT
"""Comparing with the reference: samples, measures, and finding the first wrong layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codegen import oracle
from codegen.ir import Graph, Node, Tensor
from codegen.load import load
from codegen.ops import Quantize
from codegen.passes import lower
from simharness import check, zoo
from simharness.errors import UsageError

LENET = zoo.resolve("zoo:lenet5-int8")
WIDE = check.InputSpec("input:0", (1, 4, 4, 1), "int8")
FLOAT = check.InputSpec("b", (3,), "float32")


def saved(folder: Path, **arrays: object) -> Path:
    path = folder / "inputs.npz"
    np.savez(path, **{name.replace("__", ":"): np.asarray(a) for name, a in arrays.items()})
    return path


def test_random_inputs_come_from_the_seed_alone() -> None:
    specs = (WIDE, FLOAT)
    few, many = check.random_inputs(specs, 2, 7), check.random_inputs(specs, 5, 7)
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a["input:0"], b["input:0"])
        np.testing.assert_array_equal(a["b"], b["b"])
    other = check.random_inputs(specs, 1, 8)[0]
    assert (other["input:0"] != few[0]["input:0"]).any()
    assert few[0]["input:0"].dtype == np.int8 and few[0]["b"].dtype == np.float32


def test_floats_cover_the_range_of_their_quantizer() -> None:
    x, y = Tensor("x", (50,), "float32"), Tensor("y", (50,), "int8")
    node = Node("q", Quantize(0.5, 100), ("x",), ("y",))
    specs = check.input_specs(Graph("g", {"x": x, "y": y}, (node,), ("x",), ("y",)))
    assert specs == (check.InputSpec("x", (50,), "float32", (-114.0, 13.5)),)
    values = np.concatenate([s["x"] for s in check.random_inputs(specs, 10, 0)])
    assert values.min() < -110 and 12 < values.max() <= 13.5


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (5, 1, 4, 4, 1), (5, 4, 4, 1)])
def test_leading_axes_count_samples(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.int8).reshape(shape)
    samples = check.load_inputs(saved(tmp_path, x=values, labels=np.zeros(3)), [WIDE])
    assert len(samples) == (5 if shape[0] == 5 else 1)
    np.testing.assert_array_equal(
        np.concatenate([s["input:0"] for s in samples]).reshape(-1), values.reshape(-1)
    )


def test_inputs_may_have_names_that_python_has_not(tmp_path: Path) -> None:
    path = saved(tmp_path, input__0=np.zeros((2, 4, 4, 1), np.int8), b=np.zeros((2, 3), np.float32))
    assert len(check.load_inputs(path, [WIDE, FLOAT])) == 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": np.zeros((4, 4, 2), np.int8)},
            r"'input:0' int8\[1,4,4,1\] cannot take .*\(4, 4, 2\)",
        ),
        ({"x": np.zeros((1, 4, 4, 1), np.float32)}, "cannot take float32 values"),
        ({"y": np.zeros((1, 4, 4, 1), np.int8)}, "no array 'input:0'.*it has 'y'"),
        ({"x": np.zeros((0, 4, 4, 1), np.int8)}, "no samples"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check.load_inputs(saved(tmp_path, **arrays), [WIDE])


def test_the_short_name_is_for_lone_inputs(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.zeros((1, 4, 4, 1), np.int8), b=np.zeros(3, np.float32))
    with pytest.raises(UsageError, match="no array 'input:0'; "):
        check.load_inputs(path, [WIDE, FLOAT])


def test_numbers_of_samples_must_agree(tmp_path: Path) -> None:
    path = saved(tmp_path, input__0=np.zeros((2, 4, 4, 1), np.int8), b=np.zeros((3, 3), np.float32))
    with pytest.raises(UsageError, match="differ in their number of samples"):
        check.load_inputs(path, [WIDE, FLOAT])


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
    np.save(tmp_path / "b.npy", np.zeros(3))
    np.savez(tmp_path / "c.npz", x=np.array([object()]))
    for name in ("a.npz", "b.npy", "c.npz", "missing.npz", "."):
        with pytest.raises(UsageError, match=str(tmp_path)):
            check.load_inputs(tmp_path / name, [WIDE])


def test_integers_are_compared_in_lsb() -> None:
    ours = [np.array([1, 2, 3], np.int8), np.array([-128, 5, 127], np.int8)]
    theirs = [np.array([1, 2, 4], np.int8), np.array([127, 5, 127], np.int8)]
    found = check.compare(ours, theirs)
    assert (found.ok, found.elements, found.mismatches, found.max_lsb) == (False, 6, 2, 255)
    assert check.compare(ours[:1], theirs[:1], allowed_lsb=1).ok
    assert check.compare(ours, ours).ok


def test_floats_are_compared_relative_to_the_largest() -> None:
    theirs = [np.array([100.0, 1.0, 0.0], np.float32)]
    good = check.compare([theirs[0] + np.float32(0.0009)], theirs)
    bad = check.compare([theirs[0] + np.array([0, 0, 0.002], np.float32)], theirs)
    assert good.ok and good.max_rel is not None and good.max_rel < 1e-5
    assert not bad.ok and bad.mismatches == 1
    assert bad.max_abs == pytest.approx(0.002)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_must_be_the_same(special: float) -> None:
    theirs = [np.array([special, 1.0], np.float32)]
    assert check.compare(theirs, theirs).ok
    assert not check.compare([np.array([0.0, 1.0], np.float32)], theirs).ok
    assert not check.compare(theirs, [np.array([0.0, 1.0], np.float32)]).ok


def test_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        check.compare([np.zeros(3, np.int8)], [np.zeros((3, 1), np.int8)])


def test_onnx_runtime_refuses_nonsense_with_a_message() -> None:
    with pytest.raises(UsageError, match="ONNX Runtime refuses it"):
        check.ort_session(b"nonsense")


def test_the_oracle_and_the_reference_agree_on_our_network() -> None:
    graph = lower(load(LENET))
    samples = check.random_inputs(check.input_specs(graph), 3, 0)
    reference = check.reference_outputs(LENET, samples)
    ours = [tuple(oracle.run(graph, s).values()) for s in samples]
    assert check.compare([o[0] for o in ours], [r[0] for r in reference]).ok


def test_the_first_wrong_layer_is_found() -> None:
    graph = lower(load(LENET))
    (sample,) = check.random_inputs(check.input_specs(graph), 1, 0)
    expected = oracle.run(graph, sample, keep_all=True)
    assert check.first_divergence(graph, expected, expected) is None
    layers = [n for n in graph.nodes if n.outputs[0] in expected]
    actual = {name: value.copy() for name, value in expected.items()}
    for node in layers[-3:]:  # later layers are wrong as well
        actual[node.outputs[0]] = actual[node.outputs[0]] + actual[node.outputs[0]].dtype.type(1)
    victim = next(n for n in graph.nodes if "Conv" in type(n.op).__name__).outputs[0]
    index = tuple(size // 2 for size in expected[victim].shape)
    actual[victim][index] ^= 1
    found = check.first_divergence(graph, expected, actual, sample=5)
    assert found is not None
    assert (found.tensor, found.index, found.sample, found.op) == (victim, index, 5, "ConvS8")
    assert found.reference == expected[victim][index] and found.ours == actual[victim][index]
    node = next(n for n in graph.nodes if n.name == found.layer)
    sums = oracle.accumulators(node, graph, expected)
    assert sums is not None and found.accumulator == sums[index]


def test_outputs_that_were_dequantized_are_compared_in_steps_of_their_scale() -> None:
    theirs = [np.array([-0.5, 0.25, 1.0], np.float32)]
    off = [theirs[0] + np.array([0, 0.5, 0], np.float32)]

    assert check.compare(theirs, theirs, step=0.25).max_lsb == 0
    assert check.compare(theirs, theirs).max_lsb is None
    found = check.compare(off, theirs, step=0.25)
    assert (found.ok, found.mismatches, found.max_lsb, found.max_abs) == (False, 1, 2, 0.5)
    assert check.compare(off, theirs, step=0.25, allowed_lsb=2).ok
    assert not check.compare(off, theirs, step=0.25, allowed_lsb=1).ok
