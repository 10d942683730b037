# SPDX-License-Identifier: MIT
"""An arena over several memories: same outputs, nothing foreign touched, planted faults seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import simharness
from codegen import Compiled, compile_lowered
from codegen.build import in_banks
from codegen.emit import Argument, Layer, Program, render
from codegen.errors import PlanError
from codegen.planner import Bank
from codegen.planner.check import check
from codegen.target import target
from cycle_models.chip import load_chip
from simharness import execution, pipeline, zoo
from simharness.errors import FaultError, UsageError
from simharness.pipeline import Machine
from simharness.report import Report
from simharness.testing.networks import Builder
from simharness.toolchain import Built

MODEL = "zoo:lenet5-int8"
BUDGET = 100_000_000


def small(board: str, sizes: dict[str, int], folder: Path) -> Path:
    """The board with other sizes of memories, as a file of a user's."""
    text = load_chip(board).path.read_text()
    for memory, size in sizes.items():
        head, rest = text.split(f"[memory.{memory}]")
        first, after = rest.split("size_bytes = ", 1)
        text = f"{head}[memory.{memory}]{first}size_bytes = {size}\n{after.split(chr(10), 1)[1]}"
    path = folder / "small.toml"
    path.write_text(text)
    return path


def run(board: str | Path, place: str = "", **options: object) -> Report:
    return simharness.run(MODEL, board=board, place=place, samples=3, sanitize=True, **options)  # type: ignore[arg-type]


BOARDS = [
    ("STM32F746", {"dtcm": 6144, "sram": 4800}),
    ("RP2040", {"sram": 4800, "scratch_y": 6144}),
    ("STM32F407", {"ccm": 4800, "sram": 6144}),
]


@pytest.mark.parametrize(("board", "sizes"), BOARDS)
def test_a_network_that_fits_only_when_split(
    board: str, sizes: dict[str, int], tmp_path: Path
) -> None:
    """No single memory holds the arena: it spreads by itself, and computes the same."""
    report = run(small(board, sizes, tmp_path))
    plan = report.results.plan

    assert report.ok
    assert report.results.check is not None
    assert report.results.check.max_lsb == 0
    assert plan is not None
    assert len(plan.banks) > 1
    assert report.results.memory.arena_bytes > max(b.available_bytes for b in plan.banks)
    assert {r.memory for r in plan.records if r.in_arena} == {b.memory for b in plan.banks}
    assert report.results.placement is not None
    assert report.results.placement.arena == "+".join(b.name for b in plan.banks)


@pytest.mark.parametrize("board", ["STM32F746", "RP2040", "STM32F407"])
def test_one_memory_that_suffices_is_all_that_is_used(board: str) -> None:
    report = run(board)
    assert report.results.plan is not None
    assert not report.results.plan.banks


@pytest.mark.parametrize(
    ("board", "place"),
    [
        ("STM32F746", "arena=itcm+dtcm+sram,data=sram,stack=dtcm"),
        ("RP2040", "arena=scratch_x+sram"),
        ("STM32H7A3", "arena=sram_srd+sram"),
    ],
)
def test_an_arena_spreads_where_it_is_asked_to(board: str, place: str) -> None:
    report = run(board, place)
    plan = report.results.plan
    asked = place.split(",")[0].removeprefix("arena=").split("+")

    assert report.ok
    assert plan is not None
    assert plan.banks
    assert [b.name for b in plan.banks] == asked[: len(plan.banks)]
    assert all(b.used_bytes <= b.available_bytes for b in plan.banks)
    assert 0 <= plan.worth_gap <= 1


def test_what_is_used_most_lies_in_the_memory_named_first(tmp_path: Path) -> None:
    """And so the modelled time is no longer than the other way round."""
    board = small("STM32F746", {"itcm": 4 << 10, "sram": 6 << 10}, tmp_path)
    rest = "data=dtcm,stack=dtcm"
    fast, slow = run(board, f"arena=itcm+sram,{rest}"), run(board, f"arena=sram+itcm,{rest}")

    assert fast.results.cycles is not None
    assert slow.results.cycles is not None
    assert fast.results.cycles.mid < slow.results.cycles.mid


@pytest.mark.parametrize(
    ("name", "board", "place"),
    [
        ("mlperf_ic_resnet8_int8", "STM32F746", "arena=itcm+sram"),
        ("mlperf_kws_dscnn_int8", "RP2040", "arena=scratch_x+scratch_y+sram"),
        ("mlperf_ic_resnet8_fp32", "STM32F407", ""),
    ],
)
def test_published_networks_in_pieces(
    name: str, board: str, place: str, shared_models: Path
) -> None:
    """The last one fits the board only so."""
    report = simharness.run(
        shared_models / f"{name}.onnx", board=board, place=place, samples=1, sanitize=True,
        timing="zero-wait", reference_kernels=not place,
    )  # fmt: skip

    assert report.ok
    assert report.results.plan is not None
    assert len(report.results.plan.banks) > 1


def test_a_network_without_an_arena_needs_no_pieces() -> None:
    """One layer from input to output: nothing to spread, whatever was asked."""
    b = Builder((1, 4, 4, 4))
    graph = b.graph(b.lut(b.inputs[0], 1))
    machine = pipeline.machine_for(None, "STM32F746", None, "arena=itcm+dtcm")
    whole = compile_lowered(graph, target("m7"), name="tiny")
    compiled = in_banks(whole, [Bank("itcm", 100), Bank("dtcm", 100)])

    assert not compiled.program.arenas
    assert pipeline.link(compiled, machine, "auto").fit.ok


def test_too_little_memory_is_said_in_bytes(tmp_path: Path) -> None:
    board = small("STM32F746", {"dtcm": 7 << 10, "itcm": 1 << 10}, tmp_path)
    with pytest.raises(UsageError, match=r"does not fit \d+ in itcm \+ \d+ in dtcm bytes: \d+ are"):
        run(board, "arena=itcm+dtcm,data=dtcm,stack=dtcm")


@pytest.mark.parametrize("place", ["code=itcm+sram", "arena=dtcm+dtcm", "arena=dtcm+rom"])
def test_a_wrong_spread_is_refused(place: str) -> None:
    with pytest.raises(UsageError, match="--place"):
        run("STM32F746", place)


@pytest.mark.needs("qemu", "arm-none-eabi-gcc")
def test_an_arena_in_pieces_runs_on_qemu_too(tmp_path: Path) -> None:
    """Its board has one RAM: there both pieces lie side by side."""
    board = small("STM32F746", {"dtcm": 6144, "sram": 4800}, tmp_path)
    ours, qemus = (
        simharness.run(MODEL, board=board, samples=2, engine=e) for e in ("unicorn", "qemu")
    )

    assert ours.ok
    assert qemus.ok
    assert ours.results.instructions == qemus.results.instructions


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compiled, Built, Machine]:
    path = small("STM32F746", {"dtcm": 6144, "sram": 4800}, tmp_path_factory.mktemp("board"))
    machine = pipeline.machine_for(None, path, None)
    wanted = pipeline.wishes("balanced", "exact", "auto", False)
    return (*pipeline.program(zoo.resolve(MODEL), machine, wanted, "auto"), machine)


def changed(program: Program, change: Callable[[Argument], Argument]) -> Program:
    def layer(y: Layer) -> Layer:
        return replace(
            y,
            inputs=tuple(map(change, y.inputs)),
            outputs=tuple(map(change, y.outputs)),
            scratch=change(y.scratch) if y.scratch else None,
        )

    return replace(program, layers=tuple(map(layer, program.layers)))


def both_in(program: Program, memory: str) -> list[Argument]:
    """The tensors of a layer of which two lie in this memory at once."""
    for layer in program.layers:
        found = [a for a in layer.arguments if a.memory == memory and a.tensor]
        if len(found) > 1:
            return found
    raise AssertionError(f"no layer has two tensors in {memory}")


def last_bank(program: Program) -> str:
    return program.arenas[-1].memory


def overlap(program: Program) -> Program:
    """One tensor lies on another, in the second memory."""
    one, other, *_ = both_in(program, last_bank(program))
    return changed(
        program, lambda a: replace(a, offset=one.offset) if a.tensor == other.tensor else a
    )


def wrong_memory(program: Program) -> Program:
    """One call takes a tensor from the other memory."""
    homes = [a.memory for a in program.arenas]
    victim = next(
        a for y in program.layers[1:] for a in y.inputs
        if a.memory in homes and a.size_bytes <= min(b.size_bytes for b in program.arenas)
    )  # fmt: skip
    other = next(home for home in homes if home != victim.memory)
    return changed(program, lambda a: replace(a, memory=other, offset=0) if a is victim else a)


def short(program: Program) -> Program:
    """The second memory's piece is four bytes short."""
    *rest, last = program.arenas
    return replace(program, arenas=(*rest, replace(last, size_bytes=last.size_bytes - 4)))


def off_by_four(program: Program) -> Program:
    """A pointer into the second memory is four bytes too low or high."""
    home = last_bank(program)
    victim = next(a for y in program.layers for a in y.outputs if a.memory == home)
    step = -4 if victim.offset >= 4 else 4
    return changed(program, lambda a: replace(a, offset=a.offset + step) if a is victim else a)


@pytest.mark.parametrize("plant", [overlap, wrong_memory, short, off_by_four])
def test_planted_faults_are_seen_by_both_checks(
    split: tuple[Compiled, Built, Machine], plant: Callable[[Program], Program]
) -> None:
    compiled, _, machine = split
    program = plant(compiled.program)
    assert program != compiled.program

    with pytest.raises(PlanError):
        check(program, compiled.graph, compiled.selection, compiled.target)
    broken = replace(compiled, program=program, sources=render(program))
    values = (np.arange(28 * 28, dtype=np.uint32).astype(np.uint8).tobytes(),)
    built = pipeline.link(broken, machine, "auto")
    try:
        found = execution.watched(broken, built, machine, "auto", values, budget=BUDGET)
    except FaultError as error:
        assert "guard zone" in str(error)
    else:
        assert not found.ok


def test_the_right_program_passes_both(split: tuple[Compiled, Built, Machine]) -> None:
    compiled, built, machine = split
    check(compiled.program, compiled.graph, compiled.selection, compiled.target)
    values = (bytes(28 * 28),)
    assert execution.watched(compiled, built, machine, "auto", values, budget=BUDGET).ok


def test_lent_memories_are_asked_for_one_by_one(split: tuple[Compiled, Built, Machine]) -> None:
    compiled, _, _ = split
    header = compiled.sources[f"{compiled.name}.h"]
    for arena in compiled.program.arenas:
        assert f"int {compiled.name}_set_{arena.memory}(void *memory, size_t bytes);" in header
        assert f"_{arena.memory.upper()}_BYTES {arena.size_bytes} " in header
