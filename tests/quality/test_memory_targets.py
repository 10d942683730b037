# SPDX-License-Identifier: MIT
"""Published networks in less RAM than other engines need, scratch included."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import compile_model
from codegen.fit import Patches
from codegen.target import target


@pytest.mark.parametrize("layout", ["", "_nchw"])
@pytest.mark.parametrize(
    ("model", "limit_bytes", "patches"),
    [
        ("mlperf_ic_resnet8_int8", 36_000, "off"),
        ("mlperf_ic_resnet8_int8", 20_000, "auto"),
        ("mlperf_vww_mbv1_int8", 37_500, "off"),
        ("mlperf_vww_mbv1_int8", 24_000, "auto"),
        ("mcunet_in3_int8", 130_000, "auto"),
    ],
)
def test_the_limit_is_held(
    model: str, limit_bytes: int, patches: Patches, layout: str, shared_models: Path
) -> None:
    """The independent checker has cleared each plan by the time it is here."""
    compiled = compile_model(
        shared_models / f"{model}{layout}.onnx",
        target("m4"),
        ram_limit_bytes=limit_bytes,
        patches=patches,
    )

    assert compiled.plan.arena_bytes <= limit_bytes


@pytest.mark.parametrize(
    ("model", "most_bytes"),
    [
        ("mlperf_kws_dscnn_int8", 9_500),
        ("mlperf_vww_mbv1_int8", 40_000),
        ("mcunet_in3_int8", 200_000),
    ],
)
def test_the_default_program_is_small(model: str, most_bytes: int, shared_models: Path) -> None:
    """Without a limit, thus with hardly any loss of speed."""
    plan = compile_model(shared_models / f"{model}.onnx", target("m4")).plan

    assert plan.arena_bytes <= most_bytes
    assert plan.gap <= 0.03


def test_copies_of_weights_are_the_first_to_go(shared_models: Path) -> None:
    """DS-CNN for speed holds weights in RAM; under a limit they stay in flash, nothing else."""
    model, speed = shared_models / "mlperf_kws_dscnn_int8.onnx", target("m4", optimize="speed")
    fast = compile_model(model, speed)
    fitted = compile_model(model, speed, ram_limit_bytes=9_500)

    assert fast.held_bytes > 4_000 and fast.plan.arena_bytes > 13_000
    assert fitted.held_bytes == 0 and fitted.plan.arena_bytes <= 9_500
    assert all(" with its weights in flash instead of" in c.detail for c in fitted.choices)
