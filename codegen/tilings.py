# SPDX-License-Identifier: MIT
"""Which ways to run the early layers tile by tile are worth a look: how small, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from codegen.ir import Graph, Node
from codegen.kernels.base import Overlap
from codegen.kernels.overlap import pixel_by_pixel
from codegen.ops import View
from codegen.planner.buffers import live_bytes, lower_bound
from codegen.planner.liveness import liveness
from codegen.planner.memory import choose_views
from codegen.planner.needs import Need, activation_inputs
from codegen.planner.order import choose_order, reordered
from codegen.planner.tiles import macs, stage, tiled, with_image_transposes

GRIDS = ((2, 1), (3, 1), (4, 1), (2, 2), (6, 1), (8, 1), (3, 3), (4, 4))
"""Rows and columns of tiles that are tried."""

_SETS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """A graph in tiles up to node `at`; `chain`: the graph that it was made of has no branches."""

    graph: Graph
    at: str
    grid: tuple[int, int]
    extra_macs: int
    chain: bool


def tilings(
    graph: Graph,
    grids: Sequence[tuple[int, int]],
    limit_bytes: float = inf,
    most_extra_macs: float = inf,
) -> list[Tiling]:
    """All ways that leave the rest of the graph a chance to fit the limit, by rising cost."""
    found: list[Tiling] = []
    graph = with_image_transposes(graph)
    for rest_bytes, node in _places(graph) if grids else ():
        if rest_bytes <= limit_bytes:
            found += _at(graph, node, grids)
    cheap = (t for t in found if t.extra_macs <= most_extra_macs)
    return sorted(cheap, key=lambda t: t.extra_macs)


def smallest(
    graph: Graph, grids: Sequence[tuple[int, int]], most_extra_macs: float = inf
) -> list[Tiling]:
    """By rising optimistic arena; what cannot come near the first is missing."""
    found: list[tuple[int, Tiling]] = []
    best: float = inf
    graph = with_image_transposes(graph)
    for rest_bytes, node in sorted(_places(graph), key=lambda place: place[0]):
        for tiling in _at(graph, node, grids) if rest_bytes <= best else ():
            if tiling.extra_macs <= most_extra_macs:
                found.append((optimistic_bytes(tiling, best), tiling))
                best = min(best, found[-1][0])
    return [t for _, t in sorted(found, key=lambda item: (item[0], item[1].extra_macs))]


def _at(graph: Graph, node: Node, grids: Sequence[tuple[int, int]]) -> Iterator[Tiling]:
    uses = Counter(x for n in graph.nodes for x in activation_inputs(n, graph))
    chain = max(uses.values(), default=0) <= 1
    for rows, cols in grids:
        tiles = tiled(graph, node.outputs[0], rows, cols)
        if tiles is not None:
            yield Tiling(tiles, node.name, (rows, cols), macs(tiles) - macs(graph), chain)


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


def optimistic_bytes(tiling: Tiling, enough_bytes: float) -> int:
    """About the arena that kernels would need which use no scratch and overlap as far as they can.

    The order of branches is looked for only where the given one takes more than enough.
    """
    graph = tiling.graph
    as_given = _bound(graph)
    if as_given <= enough_bytes or tiling.chain:
        return as_given
    order = choose_order(graph, _wishes(graph), _SETS)
    return min(as_given, _bound(reordered(graph, order)))


def _bound(graph: Graph) -> int:
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
