# SPDX-License-Identifier: MIT
"""ONNX's own cases for every operator that we read, except those with a reason below.

A case feeds weights, limits and shapes as inputs; here all but the first input become constants,
which is what they are in a network.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest

from codegen.errors import CodegenError
from codegen.load import load
from codegen.load.supported import FIRST_OPSET, SUPPORTED
from codegen.oracle import run
from codegen.passes import lower

with warnings.catch_warnings(action="ignore"):
    from onnx.backend.test.case.node import collect_testcases
    from onnx.backend.test.case.test_case import TestCase


EXCLUDED = {
    r"_(add|sub|mul|div)_u?int\d+(_trunc)?$": "arithmetic on integers without a scale",
    r"(pool|conv|convtranspose)_3d": "windows have one or two dimensions",
    r"lstm_with_peepholes": "no exporter writes peepholes",
    r"lstm_(reverse|bidirectional)$": "the last cell state is no output",
    r"training": "networks are exported for inference",
    r"dropout_.*mask": "as is the mask of Dropout",
    r"_identity_(sequence|opt)$": "values are tensors",
    r"_matmul_(bcast|1d_3d)$": "batches of differing shape, no network has them",
    r"_with_argmax_": "the places of maxima are no output",
    r"_(edge|reflect)_pad$": "pads int32; test_passes pads float and int8",
    r"_wrap_pad": "no kernel wraps around",
    r"float16": "half precision",
    r"_(linear|cubic|tf_crop_and_resize)": "Resize to the nearest only",
    r"zero_size|allowzero_reordered|start_out_of_bounds": "empty tensors",
    r"quantizelinear_(u?int(2|4|16)|float|e\dm\d)": "quantization to other than 8 bits",
    r"quantizelinear_(blocked|axis)": "activations have one scale",
}
"""Pattern of case names: why they are left out."""


@pytest.fixture(scope="session")
def cases() -> dict[str, list[TestCase]]:
    """All cases of supported operators, by the operator that they are for."""
    found: dict[str, list[TestCase]] = {kind: [] for kind in SUPPORTED}
    with warnings.catch_warnings(action="ignore"):
        for case in collect_testcases(None):
            kinds = {node.op_type for node in case.model.graph.node}
            if kinds and kinds <= SUPPORTED and readable(case):
                found[case.model.graph.node[-1].op_type].append(case)
    return found


def readable(case: TestCase) -> bool:
    """Whether the case means the same in an opset that we read; then it is moved there."""
    for entry in case.model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            opset = max(entry.version, FIRST_OPSET)
            same = all(
                schema(node.op_type, opset) == schema(node.op_type, entry.version)
                for node in case.model.graph.node
            )
            entry.version = opset
            return same
    return False


def schema(kind: str, opset: int) -> int:
    return int(onnx.defs.get_schema(kind, opset).since_version)


def attempt(case: TestCase, path: Path) -> str:
    """What is wrong with our answer to a case; empty if nothing."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    ((inputs, outputs),) = case.data_sets
    for node in model.graph.node:
        if node.op_type == "LayerNormalization":  # mean and deviation are for training
            del node.output[1:], model.graph.output[1:]
    names = [value.name for value in model.graph.input]
    for name, value in list(zip(names, inputs, strict=True))[1:]:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    del model.graph.input[1:]
    path.write_bytes(model.SerializeToString())
    try:
        graph = lower(load(path))
    except CodegenError as error:
        return f"refused: {error}"
    ours = run(graph, {names[0]: np.asarray(inputs[0])})
    for name, expected in zip(graph.outputs, outputs, strict=False):
        if not np.allclose(ours[name], np.asarray(expected), rtol=case.rtol, atol=1e-6):
            return f"wrong: {ours[name]} instead of {expected}"
    return ""


@pytest.mark.parametrize("kind", sorted(SUPPORTED))
def test_node_cases(kind: str, cases: dict[str, list[TestCase]], tmp_path: Path) -> None:
    tried = [c for c in cases[kind] if not any(re.search(p, c.name) for p in EXCLUDED)]
    assert tried
    failures = {}
    for case in tried:
        failure = attempt(case, tmp_path / "model.onnx")
        if failure:
            failures[case.name] = failure
    assert not failures, "\n".join(f"{name}: {text[:200]}" for name, text in failures.items())


def test_every_exclusion_excludes_something(cases: dict[str, list[TestCase]]) -> None:
    names = [case.name for kind in cases.values() for case in kind]
    for pattern, reason in EXCLUDED.items():
        assert any(re.search(pattern, name) for name in names), (pattern, reason)
    kept = [n for n in names if not any(re.search(p, n) for p in EXCLUDED)]
    assert len(kept) >= 200
