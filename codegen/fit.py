# SPDX-License-Identifier: MIT
"""Less memory for more work: other kernels and tiles, the cheapest choices that fit a limit.

Cost is counted in multiplications of the default kernels. A kernel further down the list of
variants is taken to cost `SLOWER` or `PLAIN_SLOWER` times as much per element; tiles cost what they
compute twice. That is a ranking, not a forecast: the report of the program that comes out has the
cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from codegen.errors import PlanError, Problem
from codegen.ir import Graph, Node
from codegen.kernels import REFERENCES, VARIANTS, select
from codegen.kernels.base import Overlap, Variant
from codegen.kernels.overlap import pixel_by_pixel
from codegen.ops import View
from codegen.planner import MemoryPlan, Strategy, plan_memory
from codegen.planner.buffers import live_bytes, lower_bound
from codegen.planner.liveness import liveness
from codegen.planner.memory import choose_views
from codegen.planner.needs import Need, activation_inputs, needs
from codegen.planner.order import choose_order, reordered
from codegen.planner.storage import storages
from codegen.planner.tiles import macs, node_macs, stage, tiled, with_image_transposes
from codegen.target import Target

Patches = Literal["off", "auto"] | tuple[int, int]
"""Patch-wise inference: never, where it pays, or so many rows and columns of tiles."""

SLOWER, PLAIN_SLOWER = 1.5, 4.0
"""How much slower a kernel is taken to be that comes later among the variants; a plain one."""

AUTO_EXTRA = 0.10
"""Multiplications that "auto" may add, as a share of all, when no limit says how small is
enough."""

_GRIDS = ((2, 1), (3, 1), (4, 1), (2, 2), (6, 1), (8, 1), (3, 3), (4, 4))
_TRIALS = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that is not the fastest, for the sake of memory.

    `what` is "kernel" or "patches"; `extra_macs` is its cost (for a kernel: as ranked here).
    """

    what: Literal["kernel", "patches"]
    where: str
    detail: str
    extra_macs: int


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """A graph in execution order with its kernels and its plan, and what was chosen for memory."""

    graph: Graph
    order: tuple[int, ...]
    selection: tuple[Variant | None, ...]
    plan: MemoryPlan
    choices: tuple[Choice, ...] = ()

    @property
    def extra_macs(self) -> int:
        return sum(choice.extra_macs for choice in self.choices)


def arrange(
    graph: Graph,
    target: Target,
    strategy: Strategy = "auto",
    patches: Patches = "off",
    ram_limit_bytes: int | None = None,
) -> Arranged:
    """Kernels, order and plan of a materialized graph.

    Without a limit the kernels are the fastest. With one, the cheapest of kernels and tiles whose
    arena is no larger; PlanError, naming the tensors in the way, when there is none.
    """
    made = _arranged(graph, target, _fastest(graph, target), strategy)
    if isinstance(patches, tuple):
        made = _tiled_as_asked(graph, target, strategy, patches)
        graph = made.graph
    elif patches == "auto" and ram_limit_bytes is None:
        found = _best_tiles(graph, target, strategy, _GRIDS, AUTO_EXTRA * macs(graph))
        made = found if found and found.plan.arena_bytes < made.plan.arena_bytes else made
    if ram_limit_bytes is None or made.plan.arena_bytes <= ram_limit_bytes:
        return made
    grids = _GRIDS if patches == "auto" else ()
    return _fitted(graph, target, strategy, grids, ram_limit_bytes, made.choices)


def _tiled_as_asked(
    graph: Graph, target: Target, strategy: Strategy, grid: tuple[int, int]
) -> Arranged:
    found = _best_tiles(graph, target, strategy, (grid,), None)
    if found is None:
        asked = f"{grid[0]}x{grid[1]} tiles"
        raise PlanError(
            Problem(
                f"no layers can run in {asked}", "patches", "ask for fewer tiles, or auto, or off"
            )
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A graph with kernels, not planned yet; no arena of it is smaller than `bound_bytes`."""

    graph: Graph
    selection: tuple[Variant | None, ...]
    choices: tuple[Choice, ...]
    bound_bytes: int

    @property
    def extra_macs(self) -> int:
        return sum(choice.extra_macs for choice in self.choices)


def _fitted(
    graph: Graph,
    target: Target,
    strategy: Strategy,
    grids: Sequence[tuple[int, int]],
    limit_bytes: int,
    choices: tuple[Choice, ...],
) -> Arranged:
    """The cheapest arrangement within the limit; `choices` are already in `graph`."""
    drafts = [_with_other_kernels(graph, target, limit_bytes, choices)]
    for choice, tiles in _tilings(graph, grids, limit_bytes)[:_TRIALS]:
        known = [d.extra_macs for d in drafts if d.bound_bytes <= limit_bytes]
        if choice.extra_macs >= min(known, default=choice.extra_macs + 1):
            break
        drafts.append(_with_other_kernels(tiles, target, limit_bytes, (choice,)))
    drafts.sort(key=lambda d: (d.bound_bytes > limit_bytes, d.extra_macs, d.bound_bytes))
    tries: list[Arranged] = []
    for draft in drafts:
        if draft.bound_bytes <= limit_bytes or not tries:
            made = _arranged(draft.graph, target, draft.selection, strategy, draft.choices)
            if draft.bound_bytes <= limit_bytes:
                made = _repacked(made, target, strategy, limit_bytes)
            if made.plan.arena_bytes <= limit_bytes:
                return made
            tries.append(made)
    raise _too_large(min(tries, key=lambda a: a.plan.arena_bytes), limit_bytes)


def _repacked(made: Arranged, target: Target, strategy: Strategy, limit_bytes: int) -> Arranged:
    """Swap kernels where the plan is fullest while that helps: a plan may miss its lower bound."""
    while made.plan.arena_bytes > limit_bytes:
        graph, order = made.graph, tuple(range(len(made.graph.nodes)))
        full = {
            step
            for r in made.plan.records
            if r.memory == "arena" and r.offset + r.size_bytes > limit_bytes
            for step in range(r.first, r.last + 1)
        }
        emitted = [i for i in order if i not in made.plan.elided]
        needed = needs(graph, made.selection, target)
        tries: list[Arranged] = []
        for index in (emitted[step] for step in sorted(full)[:_TRIALS]):
            for swap in _swaps(index, graph, target, made.selection):
                trial = (*needed[:index], swap.need, *needed[index + 1 :])
                plan = plan_memory(graph, trial, strategy=strategy)
                selection = (*made.selection[:index], swap.variant, *made.selection[index + 1 :])
                choice = Choice("kernel", graph.nodes[index].name, swap.detail, swap.extra_macs)
                choices = (*made.choices, choice)
                tries.append(Arranged(graph, made.order, selection, plan, choices))
        better = [t for t in tries if t.plan.arena_bytes < made.plan.arena_bytes]
        if not better:
            return made
        made = min(better, key=lambda t: (max(t.plan.arena_bytes, limit_bytes), t.extra_macs))
    return made


def _arranged(
    graph: Graph,
    target: Target,
    selection: Sequence[Variant | None],
    strategy: Strategy,
    choices: tuple[Choice, ...] = (),
) -> Arranged:
    needed = needs(graph, selection, target)
    order = choose_order(graph, needed)
    ordered = reordered(graph, order)
    plan = plan_memory(ordered, tuple(needed[i] for i in order), strategy=strategy)
    return Arranged(ordered, order, tuple(selection[i] for i in order), plan, choices)


def _fastest(graph: Graph, target: Target) -> list[Variant | None]:
    return [
        None if isinstance(node.op, View) else select(node, graph, target) for node in graph.nodes
    ]


def _with_other_kernels(
    graph: Graph, target: Target, limit_bytes: int, choices: tuple[Choice, ...]
) -> _Draft:
    """Swap kernels one at a time, the best bargain first, until the limit holds or none helps."""
    selection = _fastest(graph, target)
    needed = list(needs(graph, selection, target))
    order = choose_order(graph, needed)
    ordered = reordered(graph, order)
    views = choose_views(ordered, [needed[i] for i in order])

    def excess(trial: Sequence[Need]) -> tuple[int, Mapping[int, int]]:
        """The lower bound, and by how many bytes each node is above the limit, if it is."""
        live = liveness(ordered, [trial[i] for i in order], views)
        sizes = live_bytes(live.problem)
        above = {s: n - limit_bytes for s, n in sizes.items() if n > limit_bytes}
        nodes = {order[k]: above[s] for k, s in enumerate(live.steps) if s in above}
        return max(sizes.values(), default=0), nodes

    bound, over = excess(needed)
    swapped: set[int] = set()
    while over:
        now = sum(over.values())
        best: tuple[float, int, _Swap] | None = None
        for index in sorted(over.keys() - swapped):
            for swap in _swaps(index, graph, target, selection):
                trial = [*needed[:index], swap.need, *needed[index + 1 :]]
                saved = now - sum(excess(trial)[1].values())
                if saved > 0 and (best is None or swap.extra_macs / saved < best[0]):
                    best = swap.extra_macs / saved, index, swap
        if best is None:
            break
        _, index, swap = best
        choices = (
            *choices,
            Choice("kernel", graph.nodes[index].name, swap.detail, swap.extra_macs),
        )
        selection[index], needed[index] = swap.variant, swap.need
        swapped.add(index)
        bound, over = excess(needed)
    return _Draft(graph, tuple(selection), choices, bound)


@dataclass(frozen=True, slots=True)
class _Swap:
    """Another kernel for a node."""

    variant: Variant
    need: Need
    extra_macs: int
    detail: str


def _swaps(
    index: int, graph: Graph, target: Target, selection: Sequence[Variant | None]
) -> Iterator[_Swap]:
    """The kernels after the selected one that take the node, too."""
    node, chosen = graph.nodes[index], selection[index]
    variants = REFERENCES if target.reference_kernels else VARIANTS
    if chosen is None:
        return
    for variant in variants[variants.index(chosen) + 1 :]:
        if variant.accepts(node, graph, target):
            scratch_bytes = variant.scratch_bytes(node, graph, target)
            need = Need(scratch_bytes, tuple(variant.overlaps(node, graph, target)))
            factor = PLAIN_SLOWER if variant in REFERENCES else SLOWER
            cost = int((factor - 1) * _work(node, graph))
            yield _Swap(variant, need, cost, f"{variant.name} instead of {chosen.name}")


def _work(node: Node, graph: Graph) -> int:
    """Multiplications of a convolution, elements of anything else."""
    return node_macs(node, graph) or prod(graph.tensors[node.outputs[0]].shape)


def _best_tiles(
    graph: Graph,
    target: Target,
    strategy: Strategy,
    grids: Sequence[tuple[int, int]],
    most_extra_macs: float | None,
) -> Arranged | None:
    """The smallest arena of a few tilings that look best."""
    found = [
        _arranged(tiles, target, _fastest(tiles, target), strategy, (choice,))
        for choice, tiles in _smallest(graph, grids, most_extra_macs)
    ]
    return min(found, key=lambda a: (a.plan.arena_bytes, a.extra_macs), default=None)


def _smallest(
    graph: Graph, grids: Sequence[tuple[int, int]], most_extra_macs: float | None
) -> list[tuple[Choice, Graph]]:
    """A few tilings with the smallest optimistic arena, best first."""
    found: list[tuple[int, int, int, Choice, Graph]] = []
    best = 1 << 62
    graph = with_image_transposes(graph)
    for rest, at in sorted(_places(graph), key=lambda place: place[0]):
        for choice, tiles in _tilings_at(graph, at, grids) if rest <= best else ():
            if most_extra_macs is None or choice.extra_macs <= most_extra_macs:
                size = _optimistic(tiles)
                best = min(best, size)
                found.append((size, choice.extra_macs, len(found), choice, tiles))
    return [(choice, tiles) for *_, choice, tiles in sorted(found, key=lambda f: f[:3])[:_TRIALS]]


def _tilings(
    graph: Graph, grids: Sequence[tuple[int, int]], limit_bytes: int
) -> list[tuple[Choice, Graph]]:
    """All ways to tile that may fit the limit, by rising cost."""
    graph = with_image_transposes(graph)
    found = [
        (choice, tiles)
        for rest, at in _places(graph)
        if rest <= limit_bytes
        for choice, tiles in _tilings_at(graph, at, grids)
        if _optimistic(tiles) <= limit_bytes
    ]
    return sorted(found, key=lambda item: item[0].extra_macs)


def _tilings_at(
    graph: Graph, at: Node, grids: Sequence[tuple[int, int]]
) -> Iterator[tuple[Choice, Graph]]:
    for rows, cols in grids:
        tiles = tiled(graph, at.outputs[0], rows, cols)
        if tiles is not None:
            detail = f"{rows}x{cols} tiles of the layers up to here"
            yield Choice("patches", at.name, detail, macs(tiles) - macs(graph)), tiles


def _places(graph: Graph) -> list[tuple[int, Node]]:
    """Each node up to which the graph can be tiled, and the optimistic arena of the rest of it."""
    wishes = _wishes(graph)
    live = liveness(graph, wishes, choose_views(graph, wishes))
    sizes = live_bytes(live.problem)
    found = []
    for node in graph.nodes:
        nodes = stage(graph, node.outputs[0])
        if nodes is not None:
            early = {live.steps[i] for i in nodes}
            late = (n for step, n in sizes.items() if step not in early)
            found.append((max(late, default=0), node))
    return found


def _optimistic(graph: Graph) -> int:
    """An arena that kernels would need which use no scratch and overlap as far as they can."""
    everything = storages(graph, frozenset(range(len(graph.nodes))))
    return lower_bound(liveness(graph, _wishes(graph), everything).problem)


def _wishes(graph: Graph) -> list[Need]:
    return [Need(0, _widest_overlaps(node, graph)) for node in graph.nodes]


def _widest_overlaps(node: Node, graph: Graph) -> tuple[Overlap, ...]:
    if isinstance(node.op, View):
        return ()
    y = graph.tensors[node.outputs[0]].size_bytes
    inputs = activation_inputs(node, graph)
    equal = [i for i, x in enumerate(inputs) if graph.tensors[x].size_bytes == y]
    return tuple(Overlap(i, 0, 0, exact=False) for i in equal) or pixel_by_pixel(node, graph)


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
