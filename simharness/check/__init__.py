# SPDX-License-Identifier: MIT
"""Whether the emulated program computes what ONNX Runtime computes, and if not, where it starts.

Importing this costs little: onnxruntime is imported when its first session is made.
"""

from __future__ import annotations

from simharness.check.compare import FLOAT_TOLERANCE, CheckResult, compare
from simharness.check.divergence import first_divergence
from simharness.check.runtime import ort_session, reference_outputs
from simharness.check.samples import InputSpec, input_specs, load_inputs, random_inputs
from simharness.check.suite import Suite, suite

__all__ = [
    "FLOAT_TOLERANCE",
    "CheckResult",
    "InputSpec",
    "Suite",
    "compare",
    "first_divergence",
    "input_specs",
    "load_inputs",
    "ort_session",
    "random_inputs",
    "reference_outputs",
    "suite",
]
