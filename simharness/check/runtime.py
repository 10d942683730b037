# SPDX-License-Identifier: MIT
"""ONNX Runtime as the reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from codegen.ir import Array
from simharness.errors import UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def ort_session(model: str | Path | bytes) -> InferenceSession:
    """A CPU session that runs every quantized operator as an integer operator, on one thread.

    `session.qdqisint8allowed` is ONNX Runtime's default on ARM64 only; elsewhere some int8
    convolutions would stay in float32 and differ from the integer operators by themselves.
    Raises UsageError when ONNX Runtime refuses the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class of their own
        where = "the model" if isinstance(model, bytes) else str(model)
        raise UsageError(f"{where}: ONNX Runtime refuses it: {error}") from error


def reference_name() -> str:
    """What reports call the reference."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def reference_outputs(
    model: str | Path | bytes, samples: list[Mapping[str, Array]]
) -> list[tuple[Array, ...]]:
    """The outputs of each sample, in the model's order."""
    session = ort_session(model)
    return [tuple(np.asarray(y) for y in session.run(None, dict(sample))) for sample in samples]
