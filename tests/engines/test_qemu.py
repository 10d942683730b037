# SPDX-License-Identifier: MIT
"""QEMU agrees with Unicorn to the byte and to the instruction, and tells every fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import random_programs
import small_model

from simharness import cli, engines
from simharness.engines.decode import executed
from simharness.engines.qemu import Qemu
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import FaultError, ToolMissingError, UsageError
from simharness.image import Image
from simharness.toolchain import build

CORES = ("m0plus", "m3", "m4", "m7", "m33")
BUDGET = 10_000_000
PROGRAMS = 300
pytestmark = pytest.mark.needs("qemu", "arm-none-eabi-gcc")


def image(core: str = "m4", planted: str = "", *, status: int = 0, small: bool = False) -> Image:
    memories = Qemu(small=small).platform(core)
    return small_model.image(core, memories, planted, status=status, semihosting=True)


def run(image: Image, *, budget: int = BUDGET, small: bool = False) -> None:
    Qemu(small=small).run(image, [small_model.values(0)], budget=budget)


@pytest.mark.parametrize("core", CORES)
def test_random_programs_end_in_the_same_state(core: str) -> None:
    """300 programs, two starting states each: same registers, flags, FPU state, memory, counts."""
    program = random_programs.program(PROGRAMS)
    given = [(random_programs.inputs(PROGRAMS, seed),) for seed in (1, 2)]
    built = build(
        random_programs.sources(core, PROGRAMS, 1), core, Qemu().platform(core), program=program,
        layers=random_programs.LAYERS, semihosting=True,
    ).image  # fmt: skip

    ours, theirs = (e.run(built, given, budget=BUDGET) for e in (UnicornEngine(), Qemu()))

    assert ours.outputs == theirs.outputs
    assert ours.instructions == theirs.instructions
    assert ours.outputs[0] != ours.outputs[1]


@pytest.mark.parametrize("core", CORES)
def test_outputs_and_counts_by_layer(core: str) -> None:
    """Right outputs on every input; each layer's count is that of Unicorn."""
    built, given = image(core), [small_model.values(seed) for seed in range(3)]

    ours, theirs = (e.run(built, given, budget=BUDGET) for e in (UnicornEngine(), Qemu()))

    assert theirs.outputs == tuple(small_model.expected(v) for v in given) == ours.outputs
    assert [p.name for p in theirs.profiles] == [*small_model.LAYERS, "(run)"]
    for a, b in zip(ours.profiles, theirs.profiles, strict=True):
        assert executed((a,), built.code) == executed((b,), built.code) > 0


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ('__asm volatile("udf #0");', "faulted .*net_l01_sum"),
        ("*(volatile int *)0x60000000 = 1;", "faulted .*layer net_l01_sum"),
        ('__asm volatile("ldm %0, {r2, r3}" :: "r"(y + 1) : "r2", "r3");', "faulted"),
        ("((void (*)(void))0x70000000)();", "faulted"),
        ("for (;;) sink = 2;", "used up its budget"),
    ],
)
def test_faults_are_told_at_once(planted: str, words: str) -> None:
    """What hardware faults on, an unaligned LDM included, and a loop without end."""
    with pytest.raises(FaultError, match=words):
        run(image("m4", planted))


def test_an_error_of_the_model_is_a_fault() -> None:
    """A run function that returns an error code does not pass."""
    with pytest.raises(FaultError, match="returned an error"):
        run(image(status=5))


def test_the_small_board_knows_what_armv6m_lacks() -> None:
    """MOVW runs on the M3 board that ARMv6-M code usually gets, and faults on the Cortex-M0."""
    movw = '__asm volatile(".inst.w 0xf2400000" ::: "r0");'
    run(image("m0plus", small=True), small=True)
    run(image("m0plus", movw))

    with pytest.raises(FaultError, match="faulted"):
        run(image("m0plus", movw, small=True), small=True)


def test_a_budget_is_for_each_input() -> None:
    """Many inputs may take more than the budget of one."""
    built, given = image(), [small_model.values(n) for n in range(8)]
    count = Qemu().run(built, given[:1], budget=BUDGET).instructions
    assert count is not None

    assert len(Qemu().run(built, given, budget=count + 100).outputs) == 8
    with pytest.raises(FaultError, match="budget"):
        Qemu().run(built, given, budget=count - 100)


def test_wrong_images_are_usage_errors() -> None:
    """An image for other memories, one without outputs, and no inputs."""
    with pytest.raises(UsageError, match="not linked for QEMU"):
        run(small_model.image("m4"))
    with pytest.raises(UsageError, match="at least one"):
        Qemu().run(image(), [], budget=BUDGET)


def test_a_missing_qemu_is_told_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ToolMissingError from the engine, exit 3 from the command line."""
    built = image()
    monkeypatch.setattr("simharness.engines.qemu.PROGRAM", "no-such-qemu")

    with pytest.raises(ToolMissingError, match="apt-get install qemu-system-arm"):
        run(built)
    assert cli.main(["run", "--engine", "qemu", "zoo:lenet5-int8", "-o", str(tmp_path / "r")]) == 3
    assert "no-such-qemu" in capsys.readouterr().err


def test_the_command_line_runs_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`simharness run --engine qemu`: outputs right, counted, and the report names the engine."""
    assert cli.main(["run", "--engine", "qemu", "--core", "m4", "zoo:lenet5-int8"]) == 0

    out = capsys.readouterr().out
    assert "0 LSB" in out
    assert "engine           qemu" in out


def test_engines_know_it() -> None:
    """It is chosen by name."""
    assert engines.engine("qemu").name == "qemu"
