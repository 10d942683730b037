# SPDX-License-Identifier: MIT
"""From a random ONNX file to C, compiled and run on this host: outputs as from ONNX Runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from host_program import run_program
from hypothesis import given, note, settings
from hypothesis import strategies as st
from onnx_networks import Array, example, models, runtime

from codegen.build import compile_model
from codegen.target import target

pytestmark = pytest.mark.needs("cc")


def both(content: bytes, shape: tuple[int, ...], *, reference: bool) -> tuple[Array, Array]:
    """(ours, ONNX Runtime's) on one random input, all outputs in a row.

    The M3 has neither FPU nor DSP instructions, so its C, with exact requantization in integers,
    runs anywhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        compiled = compile_model(path, target("m3", reference_kernels=reference))
        note(" ".join(type(node.op).__name__ for node in compiled.graph.nodes))
        x = example(compiled.graph, shape)
        expected = runtime(path).run(None, {"x": x})
        ours = run_program(compiled, Path(folder) / "c", [x])
    return (
        np.concatenate([y.reshape(-1) for y in ours]),
        np.concatenate([y.reshape(-1) for y in expected]),
    )


@settings(max_examples=12)
@given(models(""), st.booleans())
def test_float_networks(model: tuple[bytes, tuple[int, ...]], reference: bool) -> None:
    ours, theirs = both(*model, reference=reference)
    scale = max(float(np.abs(theirs).max(initial=0)), 0.1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * scale)


@settings(max_examples=12)
@given(models("int8"), st.booleans())
def test_int8_networks(model: tuple[bytes, tuple[int, ...]], reference: bool) -> None:
    np.testing.assert_array_equal(*both(*model, reference=reference))


@settings(max_examples=12)
@given(models("uint8"), st.booleans())
def test_uint8_networks(model: tuple[bytes, tuple[int, ...]], reference: bool) -> None:
    np.testing.assert_array_equal(*both(*model, reference=reference))
