# SPDX-License-Identifier: MIT
"""An arena over several memories: no collision in any, none overfilled, the best ones used most."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from test_planner_packing import collisions, problems

from codegen.planner import Buffer, Overlay, Packing, plan
from codegen.planner.banks import Bank, Split, split
from codegen.planner.buffers import Problem, lower_bound


@st.composite
def cases(draw: st.DrawFn) -> tuple[Problem, list[Bank], list[int]]:
    """Buffers with overlaps and uses; two or three banks about as large together as is needed."""
    buffers, overlays = draw(problems())
    problem = Problem(tuple(buffers), tuple(overlays))
    needed = lower_bound(problem)
    count = draw(st.integers(2, 3))
    banks = [
        Bank(f"m{k}", draw(st.integers(0, needed + 100)) * draw(st.integers(1, 3)) // 2)
        for k in range(count)
    ]
    uses = draw(st.lists(st.integers(0, 1000), min_size=len(buffers), max_size=len(buffers)))
    return problem, banks, uses


def in_bank(
    problem: Problem, found: Split, bank: int
) -> tuple[list[Buffer], list[Overlay], Packing]:
    """What lies in a bank, renumbered."""
    members = [i for i, home in enumerate(found.homes) if home == bank]
    at = {i: k for k, i in enumerate(members)}
    overlays = [
        Overlay(at[o.output], at[o.input], o.lead_bytes, o.exact)
        for o in problem.overlays
        if o.output in at and o.input in at
    ]
    offsets = tuple(found.offsets[i] for i in members)
    return [problem.buffers[i] for i in members], overlays, Packing(offsets, 0, 0, "", False)


@given(cases())
def test_nothing_collides_and_no_bank_overflows(
    case: tuple[Problem, list[Bank], list[int]],
) -> None:
    problem, banks, uses = case
    found = split(problem, banks, uses)
    if found is None:
        return
    assert len(found.homes) == len(found.offsets) == len(problem.buffers)
    assert found.worth <= found.bound
    for number, bank in enumerate(banks):
        buffers, overlays, packing = in_bank(problem, found, number)
        assert not collisions(buffers, packing, overlays)
        ends = [o + b.size_bytes for o, b in zip(packing.offsets, buffers, strict=True)]
        assert max(ends, default=0) <= found.used_bytes[number] <= bank.size_bytes
        assert all(o % b.align == 0 for o, b in zip(packing.offsets, buffers, strict=True))
    assert split(problem, banks, uses) == found


@given(cases())
def test_one_bank_that_suffices_is_all_that_is_used(
    case: tuple[Problem, list[Bank], list[int]],
) -> None:
    problem, banks, uses = case
    alone = plan(problem.buffers, problem.overlays, strategy="first_fit").arena_bytes
    first = Bank("first", alone)
    found = split(problem, [first, *banks], [n + 1 for n in uses], strategy="first_fit")

    assert found is not None
    assert found.used_bytes == (alone, *(0 for _ in banks))


@st.composite
def tiny(draw: st.DrawFn) -> tuple[Problem, list[Bank], list[int]]:
    """Up to seven buffers: all assignments can be tried."""
    count = draw(st.integers(1, 7))
    buffers = []
    for i in range(count):
        first = draw(st.integers(0, 5))
        size = 4 * draw(st.integers(1, 20))
        buffers.append(Buffer(f"b{i}", size, first, draw(st.integers(first, 5))))
    uses = draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    banks = [Bank("a", 4 * draw(st.integers(0, 40))), Bank("b", 4 * draw(st.integers(0, 40)))]
    return Problem(tuple(buffers)), banks, uses


@given(tiny())
def test_small_splits_are_the_best_there_are(case: tuple[Problem, list[Bank], list[int]]) -> None:
    problem, banks, uses = case
    best = -1
    for homes in product(range(2), repeat=len(problem.buffers)):
        heights = [
            plan([b for b, h in zip(problem.buffers, homes, strict=True) if h == k]).arena_bytes
            for k in range(2)
        ]
        if all(height <= bank.size_bytes for height, bank in zip(heights, banks, strict=True)):
            best = max(best, sum(n for n, h in zip(uses, homes, strict=True) if h == 0))
    found = split(problem, banks, uses)

    assert (found.worth if found else -1) == best
