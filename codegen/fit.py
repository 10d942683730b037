# SPDX-License-Identifier: MIT
"""Less memory for more work: other kernels and tiles, the fastest choices that fit a limit.

Programs are compared by about how many instructions they take (`codegen.kernels.cost`): a ranking,
not a forecast. The report of the program that comes out has the counts and cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Literal

from codegen.errors import PlanError, Problem
from codegen.ir import Graph
from codegen.planner import MemoryPlan, Strategy, plan_memory
from codegen.planner.needs import needs
from codegen.planner.order import choose_order, reordered
from codegen.planner.tiles import macs
from codegen.swaps import Selection, Swap, below, fastest, swaps, work
from codegen.target import Target
from codegen.tilings import GRIDS, Tiling, optimistic_bytes, smallest, tilings

Patches = Literal["off", "auto"] | tuple[int, int]
"""Patch-wise inference: never, where it pays, or so many rows and columns of tiles."""

AUTO_EXTRA = 0.10
"""Multiplications that "auto" may add, as a share of all, when no limit says how small is
enough."""

NEARLY_FREE = 0.01
"""Instructions that a smaller arena may cost without being asked for, as a share of all; but for
speed, none."""

_TRIALS = 8
_DRAFTS = 24


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that is not the fastest, for the sake of memory.

    `extra_macs` is what patches compute twice; `extra_instructions` about what the choice costs.
    """

    what: Literal["kernel", "patches"]
    where: str
    detail: str
    extra_macs: int
    extra_instructions: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """A program that was planned on the way to a limit: its arena and about what it costs."""

    detail: str
    arena_bytes: int
    extra_macs: int
    extra_instructions: int


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """A graph in execution order with its kernels and its plan, and what was chosen for memory.

    `alternatives` are the programs that the limit was compared with, the fastest first.
    """

    graph: Graph
    order: tuple[int, ...]
    selection: Selection
    plan: MemoryPlan
    choices: tuple[Choice, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def extra_instructions(self) -> int:
        return sum(choice.extra_instructions for choice in self.choices)


@dataclass(frozen=True, slots=True)
class _Goal:
    """What does not change while one network is arranged; `work` is that of its fastest program."""

    target: Target
    strategy: Strategy
    work: int


def arrange(
    graph: Graph,
    target: Target,
    strategy: Strategy = "auto",
    patches: Patches = "off",
    ram_limit_bytes: int | None = None,
) -> Arranged:
    """Kernels, order and plan of a materialized graph.

    Without a limit the kernels are the fastest, or nearly so where that saves memory. With one, the
    cheapest of kernels and tiles whose arena is no larger; PlanError, naming the tensors in the
    way, when there is none.
    """
    kernels = fastest(graph, target)
    goal = _Goal(target, strategy, work(graph, target, kernels))
    if isinstance(patches, tuple):
        made = _tiled_as_asked(graph, goal, patches)
    else:
        made = _planned(_Draft(graph, kernels), goal)
        if patches == "auto" and ram_limit_bytes is None:
            tries = smallest(graph, GRIDS, AUTO_EXTRA * macs(graph))[:_TRIALS]
            made = _smallest(made, *(_planned(_in_tiles(t, goal), goal) for t in tries))
    if ram_limit_bytes is None:
        return made if target.optimize == "speed" else _trimmed(made, goal)
    if made.plan.arena_bytes <= ram_limit_bytes:
        return made
    grids = GRIDS if patches == "auto" else ()
    return _fitted(made, graph, goal, grids, ram_limit_bytes)


def _smallest(*tries: Arranged) -> Arranged:
    return min(tries, key=lambda a: (a.plan.arena_bytes, a.extra_instructions))


def _tiled_as_asked(graph: Graph, goal: _Goal, grid: tuple[int, int]) -> Arranged:
    tries = [_planned(_in_tiles(t, goal), goal) for t in smallest(graph, (grid,))[:_TRIALS]]
    if not tries:
        asked = f"{grid[0]}x{grid[1]} tiles"
        raise PlanError(
            Problem(
                f"no layers can run in {asked}", "patches", "ask for fewer tiles, or auto, or off"
            )
        )
    return _smallest(*tries)


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A graph with kernels, not planned yet."""

    graph: Graph
    selection: Selection
    choices: tuple[Choice, ...] = ()

    @property
    def extra_instructions(self) -> int:
        return sum(choice.extra_instructions for choice in self.choices)


def _in_tiles(tiling: Tiling, goal: _Goal) -> _Draft:
    """The tiles with the fastest kernels."""
    kernels = fastest(tiling.graph, goal.target)
    rows, cols = tiling.grid
    choice = Choice(
        "patches",
        tiling.at,
        f"{rows}x{cols} tiles of the layers up to here",
        tiling.extra_macs,
        work(tiling.graph, goal.target, kernels) - goal.work,
    )
    return _Draft(tiling.graph, kernels, (choice,))


def _swapped(draft: _Draft, taken: Sequence[Swap]) -> _Draft:
    """The same with other kernels."""
    kernels, choices = list(draft.selection), list(draft.choices)
    for swap in taken:
        kernels[swap.index] = swap.variant
        where = draft.graph.nodes[swap.index].name
        choices.append(Choice("kernel", where, swap.detail, 0, swap.extra_instructions))
    return _Draft(draft.graph, tuple(kernels), tuple(choices))


def _planned(draft: _Draft, goal: _Goal) -> Arranged:
    graph, selection = draft.graph, draft.selection
    needed = needs(graph, selection, goal.target)
    order = choose_order(graph, needed)
    ordered = reordered(graph, order)
    plan = plan_memory(ordered, tuple(needed[i] for i in order), strategy=goal.strategy)
    return Arranged(ordered, order, tuple(selection[i] for i in order), plan, draft.choices)


def _trimmed(made: Arranged, goal: _Goal) -> Arranged:
    """The smallest arena that other kernels give for nearly nothing."""
    fast = _Draft(made.graph, made.selection, made.choices)
    most = fast.extra_instructions + NEARLY_FREE * goal.work
    while True:
        limit_bytes = made.plan.arena_bytes - 1
        bound, taken = below(fast.graph, goal.target, fast.selection, limit_bytes)
        draft = _swapped(fast, taken)
        if bound > limit_bytes or draft.extra_instructions > most:
            return made
        found = _planned(draft, goal)
        if found.plan.arena_bytes > limit_bytes:
            return made
        made = replace(found, order=tuple(made.order[i] for i in found.order))


def _fitted(
    made: Arranged,
    graph: Graph,
    goal: _Goal,
    grids: Sequence[tuple[int, int]],
    limit_bytes: int,
) -> Arranged:
    """The cheapest arrangement within the limit, best first; `made` is one that is too large.

    A program waits with a cost that is no more than about what it will be, until it is planned.
    """
    tries = [made]
    fast = _Draft(made.graph, made.selection, made.choices)
    share = goal.work / max(macs(graph), 1)
    waiting: list[tuple[float, int, Arranged | _Draft | Tiling]] = [
        (t.extra_macs * share, i, t) for i, t in enumerate(tilings(graph, grids, limit_bytes))
    ]
    number = len(waiting)

    def wait(item: Arranged | _Draft) -> None:
        nonlocal number
        number += 1
        heappush(waiting, (item.extra_instructions, number, item))

    def draft(plain: _Draft) -> None:
        bound, taken = below(plain.graph, goal.target, plain.selection, limit_bytes)
        if bound <= limit_bytes:
            wait(_swapped(plain, taken))

    heapify(waiting)
    draft(fast)
    left = _DRAFTS
    while waiting and left:
        item = heappop(waiting)[2]
        if isinstance(item, Arranged):
            return replace(item, alternatives=_alternatives(tries))
        if isinstance(item, Tiling):
            if optimistic_bytes(item, limit_bytes) <= limit_bytes:
                left -= 1
                draft(_in_tiles(item, goal))
        else:
            left -= 1
            found = _repacked(_planned(item, goal), goal, limit_bytes)
            tries.append(found)
            if found.plan.arena_bytes <= limit_bytes:
                wait(found)
    if not any(t.plan.arena_bytes <= limit_bytes for t in tries):
        tries += _promising(graph, goal, grids, limit_bytes)
    fitting = [t for t in tries if t.plan.arena_bytes <= limit_bytes]
    if not fitting:
        raise _too_large(_smallest(*tries), limit_bytes)
    best = min(fitting, key=lambda t: t.extra_instructions)
    return replace(best, alternatives=_alternatives(tries))


def _promising(
    graph: Graph, goal: _Goal, grids: Sequence[tuple[int, int]], limit_bytes: int
) -> Iterator[Arranged]:
    """What may have the smallest arenas of all, when none that seemed cheap has fitted."""
    plain = _Draft(graph, fastest(graph, goal.target))
    for draft in (plain, *(_in_tiles(t, goal) for t in smallest(graph, grids)[:_TRIALS])):
        _, taken = below(draft.graph, goal.target, draft.selection, limit_bytes)
        yield _repacked(_planned(_swapped(draft, taken), goal), goal, limit_bytes)


def _repacked(made: Arranged, goal: _Goal, limit_bytes: int) -> Arranged:
    """Swap kernels where the plan is fullest while that helps: a plan may miss its lower bound."""
    while made.plan.arena_bytes > limit_bytes:
        graph = made.graph
        full = {
            step
            for r in made.plan.records
            if r.memory == "arena" and r.offset + r.size_bytes > limit_bytes
            for step in range(r.first, r.last + 1)
        }
        emitted = [i for i in range(len(graph.nodes)) if i not in made.plan.elided]
        needed = needs(graph, made.selection, goal.target)
        better: list[Arranged] = []
        for index in (emitted[step] for step in sorted(full)[:_TRIALS]):
            for swap in swaps(index, graph, goal.target, made.selection[index]):
                trial = (*needed[:index], swap.need, *needed[index + 1 :])
                plan = plan_memory(graph, trial, strategy=goal.strategy)
                if plan.arena_bytes < made.plan.arena_bytes:
                    draft = _swapped(_Draft(graph, made.selection, made.choices), (swap,))
                    better.append(Arranged(graph, made.order, draft.selection, plan, draft.choices))
        if not better:
            return made
        made = min(
            better, key=lambda t: (max(t.plan.arena_bytes, limit_bytes), t.extra_instructions)
        )
    return made


def _alternatives(tries: Sequence[Arranged]) -> tuple[Alternative, ...]:
    """The programs that no other one beats in both memory and work."""
    found: list[Alternative] = []
    for made in sorted(tries, key=lambda t: (t.extra_instructions, t.plan.arena_bytes)):
        if not found or made.plan.arena_bytes < found[-1].arena_bytes:
            details = [c.detail for c in made.choices if c.what == "patches"]
            kernels = sum(c.what == "kernel" for c in made.choices)
            details += [f"another kernel in {kernels} layers"] if kernels else []
            found.append(
                Alternative(
                    ", ".join(details) or "the fastest kernels",
                    made.plan.arena_bytes,
                    sum(c.extra_macs for c in made.choices),
                    made.extra_instructions,
                )
            )
    return tuple(found)


def _too_large(best: Arranged, limit_bytes: int) -> PlanError:
    """What is alive where the smallest arena found is fullest."""
    arena = [r for r in best.plan.records if r.memory == "arena"]
    steps = range(max((r.last for r in arena), default=0) + 1)
    alive = [{(r.offset, r.size_bytes): r for r in arena if r.first <= s <= r.last} for s in steps]
    fullest = max(steps, key=lambda s: (max(sum(place) for place in alive[s] or [(0, 0)]), -s))
    largest = sorted(alive[fullest].values(), key=lambda r: -r.size_bytes)[:4]
    names = ", ".join(
        f"{'scratch of ' if r.scratch else ''}{r.tensor[-60:]!r} ({r.size_bytes} bytes)"
        for r in largest
    )
    short = best.plan.arena_bytes - limit_bytes
    return PlanError(
        Problem(
            f"the smallest arena found is {best.plan.arena_bytes} bytes, {short} more than the "
            f"limit of {limit_bytes}; there lie {names}",
            f"layer {fullest}",
            "raise the limit, allow patches, or choose a smaller network",
        )
    )
