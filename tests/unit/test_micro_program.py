# SPDX-License-Identifier: MIT
"""Micro-benchmarks as programs: they run, and cost what was published of their sequences."""

from __future__ import annotations

import pytest

from cycle_models.core import load_core
from cycle_models.timing import time_profiles
from simharness.bench import micro_program
from simharness.bench.microbench import Microbench
from simharness.engines.unicorn import UnicornEngine
from simharness.firmware import Port, Program
from simharness.toolchain import build

CASES = [
    pytest.param(bench, core, id=f"{bench.id}[{core}]")
    for core in ("m0plus", "m3", "m4", "m7", "m33")
    for bench in micro_program.benches(core)
]


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize(("bench", "core"), CASES)
def test_it_costs_what_its_sequence_costs(bench: Microbench, core: str) -> None:
    """Whole runs, what surrounds the sequence included: within a tenth and a few cycles a round."""
    port = (Port("int32_t", 1),)
    image = build(
        micro_program.sources(bench, core), core,
        program=Program(micro_program.NAME, f"{micro_program.NAME}.h", port, port),
    ).image  # fmt: skip
    trace = UnicornEngine().run(image, [(b"\1\2\3\4",)], budget=10**8)
    assert trace.outputs == ((b"\1\2\3\4",),)

    cycles = time_profiles(trace.profiles, image.code, load_core(core)).total.cycles.mid
    sequences = 64 if bench.kind == "copies" else 192 // (3 if "#3" in bench.assembly else 1)
    whole = bench.cycles + bench.filler
    a_round = cycles / micro_program.ROUNDS
    assert 0.8 * sequences * whole < a_round < 1.1 * sequences * whole + 60
