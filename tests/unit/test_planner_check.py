# SPDX-License-Identifier: MIT
"""The checker convicts every broken plan that is planted, and names the culprits."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import codegen.planner.check as check_module
from codegen.build import Compiled, compile_lowered
from codegen.emit import Arena, Argument, Layer, Program
from codegen.errors import PlanError
from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Overlap
from codegen.planner.check import check
from codegen.target import Target, target
from simharness.testing.networks import Builder

M4 = target("m4", reference_kernels=True)


def residual() -> Graph:
    """conv, conv, conv, a sum with the first, a slice of it, a table."""
    b = Builder((1, 4, 4, 4))
    skip = b.conv(b.inputs[0], 8, 1, 0)
    y = b.conv(b.conv(skip, 8, 3, 1), 8, 3, 2)
    return b.graph(b.lut(b.slice(b.plus(y, skip), 1, 1, 2), 3))


@pytest.fixture
def good() -> Compiled:
    return compile_lowered(residual(), M4, name="m")


def convict(compiled: Compiled, program: Program) -> str:
    """The words of the conviction; fails when there is none."""
    with pytest.raises(PlanError) as error:
        check(program, compiled.graph, compiled.selection, compiled.target)
    return str(error.value)


def with_layer(program: Program, index: int, change: Callable[[Layer], Layer]) -> Program:
    layers = list(program.layers)
    layers[index] = change(layers[index])
    return replace(program, layers=tuple(layers))


def move(argument: Argument, offset: int) -> Argument:
    return replace(argument, offset=offset)


def test_the_good_one_is_cleared(good: Compiled) -> None:
    check(good.program, good.graph, good.selection, good.target)


def test_overlapping_offsets(good: Compiled) -> None:
    """A tensor on top of one that is read later."""
    skip = good.program.layers[0].outputs[0]
    broken = with_layer(
        good.program, 2, lambda y: replace(y, outputs=(move(y.outputs[0], skip.offset + 4),))
    )

    assert repr(skip.tensor) in convict(good, broken)


def test_every_moved_pointer_is_convicted(good: Compiled) -> None:
    """Any one argument anywhere else than planned, one at a time: 4 bytes up, or to 0."""
    for index, layer in enumerate(good.program.layers):
        for argument in layer.arguments:
            for offset in {argument.offset + 4, 0} - {argument.offset}:
                convict(good, with_layer(good.program, index, moved(argument, offset)))


def moved(argument: Argument, offset: int) -> Callable[[Layer], Layer]:
    """A change of a layer that puts one of its arguments elsewhere."""

    def change(layer: Layer) -> Layer:
        inputs, outputs = (
            tuple(move(a, offset) if a is argument else a for a in group)
            for group in (layer.inputs, layer.outputs)
        )
        return replace(layer, inputs=inputs, outputs=outputs)

    return change


def test_a_lifetime_one_step_short(good: Compiled) -> None:
    """The skip tensor's bytes are given away one layer before its last reader."""
    skip = good.program.layers[0].outputs[0]
    last = good.program.layers[2]
    broken = with_layer(
        good.program, 2, lambda y: replace(y, outputs=(move(last.outputs[0], skip.offset),))
    )

    assert "layer m_l03_binary" in convict(good, broken)


def test_an_arena_one_byte_short(good: Compiled) -> None:
    assert "beyond" in convict(
        good, replace(good.program, arenas=(Arena("arena", good.program.arena_bytes - 1),))
    )


def test_a_size_one_byte_short(good: Compiled) -> None:
    def shrink(layer: Layer) -> Layer:
        y = layer.outputs[0]
        return replace(layer, outputs=(replace(y, size_bytes=y.size_bytes - 1),))

    assert "are written" in convict(good, with_layer(good.program, 1, shrink))


def test_misaligned_pointer(good: Compiled) -> None:
    def shift(layer: Layer) -> Layer:
        return replace(layer, outputs=(move(layer.outputs[0], layer.outputs[0].offset + 1),))

    assert "aligned" in convict(good, with_layer(good.program, 0, shift))


def test_layers_in_the_wrong_order(good: Compiled) -> None:
    layers = good.program.layers
    broken = replace(good.program, layers=(layers[1], layers[0], *layers[2:]))

    assert "before anything computed it" in convict(good, broken)


def test_a_layer_too_few_and_one_too_many(good: Compiled) -> None:
    layers = good.program.layers

    assert "never computed" in convict(good, replace(good.program, layers=layers[:-1]))
    assert "twice" in convict(good, replace(good.program, layers=(*layers, layers[-1])))


def test_writing_to_the_callers_input(good: Compiled) -> None:
    def onto_input(layer: Layer) -> Layer:
        return replace(layer, outputs=(replace(layer.outputs[0], memory="input0", offset=0),))

    assert "caller's input0" in convict(good, with_layer(good.program, 1, onto_input))


def test_swapped_inputs(good: Compiled) -> None:
    broken = with_layer(good.program, 3, lambda y: replace(y, inputs=y.inputs[::-1]))

    assert "not [" in convict(good, broken)


class WithScratch:
    """A kernel that only needs to be planned: a table with scratch, and an overlap with a lead."""

    name, manner = "nn_fake", ""

    def __init__(self, scratch_bytes: int, *overlaps: Overlap) -> None:
        self._scratch_bytes, self._overlaps = scratch_bytes, overlaps

    def accepts(self, node: Node, graph: Graph, target: Target) -> bool:
        return True

    def extra_instructions(self, node: Node, graph: Graph, target: Target) -> int:
        return 0

    def held_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return 0

    def scratch_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return self._scratch_bytes

    def overlaps(self, node: Node, graph: Graph, target: Target) -> tuple[Overlap, ...]:
        return self._overlaps

    def emit(self, node: Node, graph: Graph, target: Target) -> Call:
        return Call((), (), "")


def planned_with(variant: WithScratch, monkeypatch: pytest.MonkeyPatch) -> Compiled:
    b = Builder((1, 4, 4, 4))
    x = b.inputs[0]
    for seed in range(4):
        x = b.conv(x, 4, 1, seed)
    monkeypatch.setattr("codegen.swaps.select", lambda node, graph, target: variant)
    return compile_lowered(b.graph(x), target("m4", optimize="speed"), name="m")


def test_scratch_is_part_of_the_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers 1 and 2 hold two tensors of 64 bytes and 52 of scratch."""
    good = planned_with(WithScratch(52), monkeypatch)

    assert good.plan.scratch_bytes == 52
    assert 180 <= good.plan.arena_bytes <= 184
    assert all(y.scratch is not None and y.scratch.offset % 8 == 0 for y in good.program.layers)


def test_scratch_one_byte_short(monkeypatch: pytest.MonkeyPatch) -> None:
    good = planned_with(WithScratch(52), monkeypatch)

    def shrink(layer: Layer) -> Layer:
        assert layer.scratch is not None
        return replace(layer, scratch=replace(layer.scratch, size_bytes=51))

    assert "51 bytes of scratch, 52" in convict(good, with_layer(good.program, 1, shrink))


@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_scratch_on_an_argument(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = planned_with(WithScratch(52), monkeypatch)

    def collide(layer: Layer) -> Layer:
        assert layer.scratch is not None
        return replace(layer, scratch=move(layer.scratch, getattr(layer, which)[0].offset))

    assert "overlaps" in convict(good, with_layer(good.program, 1, collide))


def test_a_lead_saves_memory_and_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    good = planned_with(WithScratch(0, Overlap(0, 0, 12, exact=False)), monkeypatch)
    # Three tensors, each 12 below the one before: the last would not fit between.
    assert good.plan.arena_bytes == 64 + 12 + 12

    def nearer(layer: Layer) -> Layer:
        return replace(layer, outputs=(move(layer.outputs[0], layer.outputs[0].offset + 4),))

    assert "does not allow" in convict(good, with_layer(good.program, 1, nearer))


def test_in_place_needs_the_kernels_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    good = planned_with(WithScratch(0, Overlap(0, 0)), monkeypatch)
    assert good.plan.arena_bytes == 64

    broken = with_layer(good.program, 1, lambda y: replace(y, overlaps=()))
    assert "does not allow" in convict(good, broken)


def test_a_broken_planner_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packing that puts everything at 0 never becomes a program."""
    from codegen.planner import memory

    real = memory.plan
    monkeypatch.setattr(
        memory,
        "plan",
        lambda *a, **k: replace(real(*a, **k), offsets=(0,) * len(real(*a, **k).offsets)),
    )

    with pytest.raises(PlanError, match="lies"):
        compile_lowered(residual(), M4, name="m")


def test_the_checker_shares_no_code_with_any_planner() -> None:
    tree = ast.parse(Path(check_module.__file__).read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}

    assert not any(str(name).startswith("codegen.planner") for name in imported)
