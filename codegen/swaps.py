# SPDX-License-Identifier: MIT
"""Other kernels for less memory: at the peak, one with less scratch or with more overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.ir import Graph
from codegen.kernels import REFERENCES, VARIANTS, select
from codegen.kernels.base import Variant
from codegen.kernels.cost import instructions
from codegen.ops import View
from codegen.planner.buffers import live_bytes
from codegen.planner.liveness import liveness
from codegen.planner.memory import choose_views
from codegen.planner.needs import Need, needs
from codegen.planner.order import choose_order, reordered
from codegen.target import Target

Selection = tuple[Variant | None, ...]
"""The kernel of each node; None for views."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Another kernel for node `index`, and about how many instructions more it takes."""

    index: int
    variant: Variant
    need: Need
    extra_instructions: int
    detail: str


def fastest(graph: Graph, target: Target) -> Selection:
    """The first kernel that takes each node."""
    return tuple(
        None if isinstance(node.op, View) else select(node, graph, target) for node in graph.nodes
    )


def work(graph: Graph, target: Target, selection: Selection) -> int:
    """About how many instructions all layers take."""
    return sum(
        instructions(variant, node, graph, target)
        for node, variant in zip(graph.nodes, selection, strict=True)
        if variant is not None
    )


def swaps(index: int, graph: Graph, target: Target, chosen: Variant | None) -> Iterator[Swap]:
    """The kernels after the chosen one that take the node, too."""
    if chosen is None:
        return
    node = graph.nodes[index]
    variants = REFERENCES if target.reference_kernels else VARIANTS
    now = instructions(chosen, node, graph, target)
    for variant in variants[variants.index(chosen) + 1 :]:
        if variant.accepts(node, graph, target):
            need = Need(
                variant.scratch_bytes(node, graph, target),
                tuple(variant.overlaps(node, graph, target)),
            )
            extra = max(0, instructions(variant, node, graph, target) - now)
            instead = f"{variant.name}{variant.manner} instead of {chosen.name}{chosen.manner}"
            yield Swap(index, variant, need, extra, instead)


def below(
    graph: Graph, target: Target, selection: Selection, limit_bytes: int
) -> tuple[int, tuple[Swap, ...]]:
    """Swaps, the best bargain first, until no step needs more than the limit or none helps.

    Also the lower bound of the arena with them.
    """
    kernels = list(selection)
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

    found: list[Swap] = []
    bound, over = excess(needed)
    swapped: set[int] = set()
    while over:
        now = sum(over.values())
        best: tuple[float, Swap] | None = None
        for index in sorted(over.keys() - swapped):
            for swap in swaps(index, graph, target, kernels[index]):
                trial = [*needed[:index], swap.need, *needed[index + 1 :]]
                saved = now - sum(excess(trial)[1].values())
                if saved > 0 and (best is None or swap.extra_instructions / saved < best[0]):
                    best = swap.extra_instructions / saved, swap
        if best is None:
            break
        swap = best[1]
        found.append(swap)
        kernels[swap.index], needed[swap.index] = swap.variant, swap.need
        swapped.add(swap.index)
        bound, over = excess(needed)
    for place, dear in enumerate(found if not over else ()):
        # Later bargains may have made it more than is needed.
        cheaper = swaps(dear.index, graph, target, selection[dear.index])
        for swap in sorted(cheaper, key=lambda s: s.extra_instructions):
            if swap.extra_instructions >= dear.extra_instructions:
                break
            trial = [*needed[: swap.index], swap.need, *needed[swap.index + 1 :]]
            if not excess(trial)[1]:
                found[place], needed = swap, trial
                bound = excess(trial)[0]
                break
    return bound, tuple(found)
