# SPDX-License-Identifier: MIT
"""The sanitizer convicts every planted memory fault and no right program."""

from __future__ import annotations

from pathlib import Path

import mutants
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simharness
from codegen import compile_lowered
from codegen.ir import Graph
from codegen.target import target
from simharness import execution, pipeline
from simharness.testing.networks import networks

PUBLISHED = (
    "mlperf_ic_resnet8_int8", "mlperf_kws_dscnn_int8_nchw", "mlperf_vww_mbv1_int8",
    "mlperf_ad_fcae_int8", "mlperf_kws_dscnn_fp32", "mcunet_vww1_int8", "mnist_lenet300_int8",
)  # fmt: skip


def test_every_planted_fault_is_caught() -> None:
    """At least 30 mutants; the static check sees those that show in the program's calls."""
    found = mutants.verdicts()

    assert len(found) >= 30
    assert [v.name for v in found if not v.dynamic] == []
    assert [v.name for v in found if v.visible and not v.static] == []


@pytest.mark.parametrize("core", ["m4", "m7", "m0plus"])
def test_no_false_alarm_on_our_own_networks(core: str) -> None:
    """Fast kernels in place and overlapped, under watch."""
    for model in ("zoo:lenet5-int8", "zoo:lenet5-f32"):
        report = simharness.run(model, core=core, samples=1, sanitize=True, timing="zero-wait")

        assert report.results.sanitizer is not None
        assert report.results.sanitizer.violations == ()


@pytest.mark.parametrize(
    ("core", "name"),
    [*(("m4", name) for name in PUBLISHED), ("m7", "mlperf_kws_dscnn_int8")],
)
def test_no_false_alarm_on_published_networks(core: str, name: str, shared_models: Path) -> None:
    """On m7 kernels load ahead, but never what lies behind their operands."""
    report = simharness.run(
        shared_models / f"{name}.onnx",
        core=core, samples=1, sanitize=True, timing="zero-wait", emulate_anyway=True,
    )  # fmt: skip

    assert report.results.sanitizer is not None
    assert report.results.sanitizer.violations == ()


@settings(max_examples=15)
@given(graph=networks(), core=st.sampled_from(["m4", "m7", "m0plus"]), seed=st.integers(0, 99))
def test_no_false_alarm_on_random_networks(graph: Graph, core: str, seed: int) -> None:
    """Views, joins, in-place operators and hostile names."""
    dice = np.random.default_rng(seed)
    values = tuple(
        dice.integers(0, 256, graph.tensors[n].size_bytes).astype(np.uint8).tobytes()
        for n in graph.inputs
    )
    machine = pipeline.machine_for(core, None, None)
    compiled = compile_lowered(graph, target(machine.core), name="m")
    built = pipeline.link(compiled, machine, "auto")

    found = execution.watched(compiled, built, machine, "auto", values, budget=10**8)

    assert found.violations == ()
