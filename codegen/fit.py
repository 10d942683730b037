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
from codegen.planner.tiles import macs, node_macs, stage, tiled
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
    plain = _arranged(graph, target, _fastest(graph, target), strategy)
    if isinstance(patches, tuple):
        found = _best_tiles(graph, target, strategy, (patches,), None)
        plain = plain if found is None else found
    elif patches == "auto" and ram_limit_bytes is None:
        found = _best_tiles(graph, target, strategy, _GRIDS, AUTO_EXTRA * macs(graph))
        plain = found if found and found.plan.arena_bytes < plain.plan.arena_bytes else plain
    if ram_limit_bytes is None or plain.plan.arena_bytes <= ram_limit_bytes:
        return plain
    return _fitted(graph, target, strategy, patches, ram_limit_bytes, plain)


def _fitted(
    graph: Graph,
    target: Target,
    strategy: Strategy,
    patches: Patches,
    limit_bytes: int,
    plain: Arranged,
) -> Arranged:
    """The cheapest arrangement within the limit."""
    tries = [plain, _with_other_kernels(graph, target, strategy, limit_bytes, plain.choices)]
    if patches != "off":
        grids = _GRIDS if patches == "auto" else (patches,)
        for choice, tiles in _tilings(graph, grids, limit_bytes)[:_TRIALS]:
            known = [a.extra_macs for a in tries if a.plan.arena_bytes <= limit_bytes]
            if choice.extra_macs >= min(known, default=choice.extra_macs + 1):
                break
            tries.append(_with_other_kernels(tiles, target, strategy, limit_bytes, (choice,)))
    fitting = [a for a in tries if a.plan.arena_bytes <= limit_bytes]
    if not fitting:
        raise _too_large(min(tries, key=lambda a: a.plan.arena_bytes), limit_bytes)
    return min(fitting, key=lambda a: (a.extra_macs, a.plan.arena_bytes))


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
    graph: Graph,
    target: Target,
    strategy: Strategy,
    limit_bytes: int,
    choices: tuple[Choice, ...],
) -> Arranged:
    """Swap kernels one at a time, the best bargain first, until the limit holds or none helps."""
    selection = _fastest(graph, target)
    needed = list(needs(graph, selection, target))
    order = choose_order(graph, needed)
    ordered = reordered(graph, order)
    views = choose_views(ordered, [needed[i] for i in order])

    def excess(trial: Sequence[Need]) -> Mapping[int, int]:
        """By how many bytes each node is above the limit, those only that are."""
        live = liveness(ordered, [trial[i] for i in order], views)
        above = {s: n - limit_bytes for s, n in live_bytes(live.problem).items() if n > limit_bytes}
        return {
            order[k]: above[s] for k, s in enumerate(live.steps) if s is not None and s in above
        }

    swaps = list(_swaps(graph, target, selection))
    over = excess(needed)
    while over:
        now = sum(over.values())
        trials = []
        for number, (index, _, need, cost) in enumerate(swaps):
            if index in over:
                after = sum(excess([*needed[:index], need, *needed[index + 1 :]]).values())
                trials.append((cost / max(now - after, 1), number, after))
        helping = [trial for trial in trials if trial[2] < now]
        if not helping:
            break
        number = min(helping)[1]
        index, variant, need, cost = swaps[number]
        old, selection[index], needed[index] = selection[index], variant, need
        name = old.name if old else ""
        detail = f"{variant.name} instead of {name}"
        choices = (*choices, Choice("kernel", graph.nodes[index].name, detail, cost))
        swaps = [swap for swap in swaps if swap[0] != index]
        over = excess(needed)
    return _arranged(graph, target, selection, strategy, choices)


def _swaps(
    graph: Graph, target: Target, selection: Sequence[Variant | None]
) -> Iterator[tuple[int, Variant, Need, int]]:
    """(node, variant, need, cost) of every kernel that needs other memory than the one selected."""
    variants = REFERENCES if target.reference_kernels else VARIANTS
    for index, (node, chosen) in enumerate(zip(graph.nodes, selection, strict=True)):
        if chosen is None:
            continue
        for variant in variants[variants.index(chosen) + 1 :]:
            if variant.accepts(node, graph, target):
                need = Need(
                    variant.scratch_bytes(node, graph, target),
                    tuple(variant.overlaps(node, graph, target)),
                )
                factor = PLAIN_SLOWER if variant in REFERENCES else SLOWER
                yield index, variant, need, int((factor - 1) * _work(node, graph))


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
    wishes = _wishes(graph)
    return lower_bound(liveness(graph, wishes, choose_views(graph, wishes)).problem)


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
    records = [r for r in best.plan.records if r.memory == "arena"]
    last = max((r.last for r in records), default=0)
    fullest = max(
        range(last + 1),
        key=lambda step: sum(r.size_bytes for r in records if r.first <= step <= r.last),
    )
    alive = sorted(
        (r for r in records if r.first <= fullest <= r.last), key=lambda r: -r.size_bytes
    )
    names = ", ".join(
        f"{'scratch of ' if r.scratch else ''}{r.tensor!r} ({r.size_bytes} bytes)"
        for r in alive[:4]
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
