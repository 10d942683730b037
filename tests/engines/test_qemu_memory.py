# SPDX-License-Identifier: MIT
"""QEMU's memory mode says what Unicorn's says, to the last sixteenth of a cycle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import simharness
from cycle_models.chip import load_chip
from simharness import pipeline
from simharness.crosscheck import sample
from simharness.engines.qemu import Qemu
from simharness.engines.qemu_plans import Plans
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import UsageError
from simharness.report.model import Report

LENET = "zoo:lenet5-int8"
NETWORKS = (
    *((LENET, b) for b in ("RP2040", "STM32F207", "STM32F446", "STM32H743", "nRF52840")),
    ("mlperf_ic_resnet8_int8", "STM32L4R5"),
    ("mlperf_ic_resnet8_int8", "STM32F746"),
    ("mlperf_kws_dscnn_int8", "STM32G0B1"),
    ("mlperf_kws_dscnn_int8", "STM32U575"),
)
pytestmark = pytest.mark.needs("qemu", "arm-none-eabi-gcc")


@pytest.mark.parametrize(("network", "board"), NETWORKS)
def test_the_same_cycles_as_unicorn(
    network: str, board: str, request: pytest.FixtureRequest
) -> None:
    """In all and by layer, with everything that the model tells of them."""
    model: str | Path = network
    if network != LENET:
        model = request.getfixturevalue("shared_models") / f"{network}.onnx"

    def report(engine: str) -> Report:
        return simharness.run(model, board=board, engine=engine, samples=1)

    ours, theirs = report("unicorn").results, report("qemu").results
    assert ours.timing is not None and ours.timing.mode == "memory"
    assert theirs.timing == ours.timing
    assert theirs.cycles == ours.cycles
    assert theirs.layers == ours.layers


def test_the_image_lies_as_on_the_chip() -> None:
    """What serves the runs displaces nothing: only the origins of the memories differ."""
    machine = pipeline.machine_for(None, "STM32F746", None)
    path, _ = pipeline.model_file(LENET)
    compiled = pipeline.generate(path, machine.core, pipeline.Wishes())
    built = pipeline.link(compiled, machine, "auto")
    moved = Qemu().moved(machine.chip, built.placement)
    there = pipeline.link(
        compiled, replace(machine, chip=moved), "auto", semihosting=True
    ).image.symbols

    for name, symbol in built.image.symbols.items():
        memory = machine.chip.memory_at(symbol.address)
        assert memory is not None, name
        offset = moved.memory(memory.name).origin - memory.origin
        assert there[name].address == symbol.address + offset, name


def test_memories_without_a_place(tmp_path: Path) -> None:
    """The error names machine, memory and remedy, which works."""
    large = tmp_path / "large.toml"
    text = load_chip("STM32F446").path.read_text(encoding="utf-8")
    assert text.count("size_bytes = 524_288") == 1
    large.write_text(text.replace("= 524_288", "= 8_388_608"), encoding="utf-8")

    with pytest.raises(UsageError, match=r"mps2-an386 has .*no place for flash.*zero-wait"):
        simharness.run(LENET, board=large, engine="qemu", samples=1)
    found = simharness.run(LENET, board=large, engine="qemu", samples=1, timing="zero-wait")
    assert found.results.ok


def test_an_error_of_the_cost_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens while QEMU waits for the answer; QEMU ends and the error comes out."""

    def fail(self: Plans, address: int, size: int) -> bytes:
        raise ValueError("planted")

    machine = pipeline.machine_for(None, "STM32F446", None)
    path, _ = pipeline.model_file(LENET)
    compiled = pipeline.generate(path, machine.core, pipeline.Wishes())
    placement = pipeline.link(compiled, machine, "auto").placement
    there = replace(machine, chip=Qemu().moved(machine.chip, placement))
    image = pipeline.link(compiled, there, "auto", semihosting=True).image
    values = sample(compiled, 0)
    monkeypatch.setattr(Plans, "_plan", fail)

    with pytest.raises(ValueError, match="planted"):
        Qemu().memory_stalls(image, values, machine.chip, machine.clock_hz, budget=10**9)
    assert UnicornEngine().run(image, [values], budget=10**9).instructions
