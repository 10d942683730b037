# SPDX-License-Identifier: MIT
"""Published networks compute on emulated cores what ONNX Runtime computes: 0 LSB, 1e-5 in float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published import SAMPLES, cases

import simharness

SOFT_FLOAT = ("m0plus", "m3")


def samples_for(name: str, core: str) -> int:
    """Fewer where a float inference takes a billion emulated instructions."""
    slow = "fp32" in name and core in SOFT_FLOAT
    return min(SAMPLES, 1) if slow or "mcunet_in3" in name else SAMPLES


@pytest.mark.parametrize("name, core", cases())
def test_outputs_equal_onnx_runtime(name: str, core: str, request: pytest.FixtureRequest) -> None:
    """Random inputs over the whole range; the plan is checked and no guard zone is touched."""
    model: str | Path = name
    if not name.startswith("zoo:"):
        model = request.getfixturevalue("shared_models") / f"{name}.onnx"

    report = simharness.run(
        model,
        core=core,
        samples=samples_for(name, core),
        emulate_anyway=True,
        timing="zero-wait",
    )

    check = report.results.check
    assert check is not None
    assert check.ok, check
    assert check.max_lsb in (None, 0)


def test_keyword_spotting_on_real_speech(shared_models: Path) -> None:
    """1,000 real samples on an emulated M4: the same class as ONNX Runtime on every one."""
    report = simharness.run(
        shared_models / "mlperf_kws_dscnn_int8.onnx",
        core="m4",
        inputs=shared_models / "kws_eval.npz",
        timing="zero-wait",
    )

    check = report.results.check
    assert check is not None
    assert (check.samples, check.max_lsb, check.mismatches) == (1000, 0, 0)


def test_lenet_on_held_out_digits(shared_models: Path, tmp_path: Path) -> None:
    """1,000 digits that no training saw, on an emulated M4: every logit equals ONNX Runtime's."""
    digits = np.load(shared_models / "mnist1k.npz")["x"]
    samples = (digits.astype(np.int16) - 128).astype(np.int8).reshape(-1, 1, 1, 28, 28)
    file = tmp_path / "digits.npz"
    np.savez(file, image=samples)

    report = simharness.run("zoo:lenet5-int8", core="m4", inputs=file, timing="zero-wait")

    check = report.results.check
    assert check is not None
    assert (check.samples, check.max_lsb, check.mismatches) == (1000, 0, 0)
