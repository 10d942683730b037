# SPDX-License-Identifier: MIT
"""Whatever the lifetimes: no two buffers collide, and the default is never above greedy by size."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.errors import PlanError
from codegen.planner import Buffer, Overlay, Packing, Strategy, plan

STRATEGIES: tuple[Strategy, ...] = ("auto", "first_fit", "greedy_by_size", "exact")


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    """Up to 20 buffers over up to 12 steps, sizes that seldom divide each other."""
    steps = draw(st.integers(1, 12))
    count = draw(st.integers(0, 20))
    made = []
    for i in range(count):
        first = draw(st.integers(0, steps - 1))
        last = draw(st.integers(first, steps - 1))
        align = draw(st.sampled_from([4, 4, 4, 8]))
        made.append(Buffer(f"b{i}", draw(st.integers(0, 300)), first, last, align))
    return made


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Buffer], list[Overlay]]:
    """Buffers, and overlaps of some that are born where others die."""
    made = draw(buffers())
    pairs = [
        (o, i)
        for o, out in enumerate(made)
        for i, into in enumerate(made)
        if o != i and out.first == into.last and not (into.first == out.last and o > i)
    ]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6)) if pairs else []
    overlays = [
        Overlay(o, i, 0, True) if draw(st.booleans()) else Overlay(o, i, lead, False)
        for o, i in chosen
        for lead in [draw(st.integers(-60, 120))]
    ]
    return made, overlays


def collisions(
    made: Sequence[Buffer], packing: Packing, overlays: Sequence[Overlay] = ()
) -> list[tuple[int, int]]:
    """Pairs of buffers that share a byte at some step though nothing allows it: by definition."""
    found = []
    for i, a in enumerate(made):
        for j, b in enumerate(made[:i]):
            together = a.first <= b.last and b.first <= a.last
            p, q = packing.offsets[i], packing.offsets[j]
            touching = p < q + b.size_bytes and q < p + a.size_bytes
            if together and touching and not any(allows(o, i, j, packing) for o in overlays):
                found.append((i, j))
    return found


def allows(overlay: Overlay, i: int, j: int, packing: Packing) -> bool:
    if {overlay.output, overlay.input} != {i, j}:
        return False
    out, into = packing.offsets[overlay.output], packing.offsets[overlay.input]
    return out == into if overlay.exact else out <= into - overlay.lead_bytes


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(made=buffers())
def test_no_strategy_lets_buffers_collide(strategy: Strategy, made: list[Buffer]) -> None:
    packing = plan(made, strategy=strategy)

    assert collisions(made, packing) == []
    assert all(o % b.align == 0 for o, b in zip(packing.offsets, made, strict=True))
    ends = [o + b.size_bytes for o, b in zip(packing.offsets, made, strict=True)]
    assert packing.lower_bound_bytes <= packing.arena_bytes
    assert max(ends, default=0) <= packing.arena_bytes < max(ends, default=0) + 8


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(problem=problems())
def test_overlaps_are_used_only_as_allowed(
    strategy: Strategy, problem: tuple[list[Buffer], list[Overlay]]
) -> None:
    made, overlays = problem

    packing = plan(made, overlays, strategy=strategy)

    assert collisions(made, packing, overlays) == []
    assert packing.lower_bound_bytes <= packing.arena_bytes


@given(problem=problems())
def test_auto_is_never_above_the_others(problem: tuple[list[Buffer], list[Overlay]]) -> None:
    made, overlays = problem
    heights = {s: plan(made, overlays, strategy=s).arena_bytes for s in STRATEGIES}

    assert heights["auto"] == min(heights.values())


@given(made=buffers())
def test_the_same_problem_gives_the_same_packing(made: list[Buffer]) -> None:
    assert plan(made) == plan(list(made))


@given(made=buffers())
def test_the_bound_is_the_largest_live_sum(made: list[Buffer]) -> None:
    """Counted step by step, sizes rounded up to words, which every offset is a multiple of."""
    unit = 8 if made and all(b.align == 8 for b in made) else 4
    steps = range(max((b.last for b in made), default=0) + 1)
    live = [
        sum(-(-b.size_bytes // unit) * unit for b in made if b.first <= s <= b.last) for s in steps
    ]

    assert plan(made).lower_bound_bytes == max(live, default=0)


def test_collisions_are_seen() -> None:
    """The property's own referee convicts a packing of two buffers at one place."""
    made = [Buffer("a", 10, 0, 2), Buffer("b", 10, 2, 3)]

    assert collisions(made, Packing((0, 8), 18, 18, "broken", False)) == [(1, 0)]
    assert collisions(made, Packing((0, 12), 22, 22, "fine", False)) == []


def test_first_fit_takes_the_first_gap() -> None:
    """The third buffer fits where the first has died, as in the paper's description."""
    made = [Buffer("a", 100, 0, 1), Buffer("b", 50, 1, 3), Buffer("c", 80, 2, 3)]

    assert plan(made, strategy="first_fit").offsets == (0, 100, 0)


def test_greedy_by_size_places_the_largest_first() -> None:
    made = [Buffer("a", 20, 0, 1), Buffer("b", 50, 1, 3), Buffer("c", 80, 2, 3)]

    assert plan(made, strategy="greedy_by_size").offsets == (0, 80, 0)


def test_a_lead_keeps_its_distance() -> None:
    """An output may begin below its dying input, no nearer than the lead."""
    made = [Buffer("x", 100, 0, 1), Buffer("y", 100, 1, 2)]

    packing = plan(made, [Overlay(output=1, input=0, lead_bytes=12, exact=False)])

    assert packing.arena_bytes == packing.lower_bound_bytes == 112
    assert packing.offsets == (12, 0)


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(PlanError, match="first_fit"):
        plan([], strategy="best")  # type: ignore[arg-type]
