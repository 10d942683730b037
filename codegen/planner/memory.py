# SPDX-License-Identifier: MIT
"""Plan the memory of a graph: which joins and cuts need no code, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.ir import Graph
from codegen.ops import Concat, Slice, View
from codegen.planner.buffers import Packing, lower_bound
from codegen.planner.liveness import Liveness, liveness
from codegen.planner.memory_plan import MemoryPlan, Placed
from codegen.planner.needs import Need
from codegen.planner.storage import Storages, storages
from codegen.planner.strategy import Strategy, plan


def plan_memory(graph: Graph, needs: Sequence[Need], *, strategy: Strategy = "auto") -> MemoryPlan:
    """The plan of `graph` (materialized, in execution order) whose kernels have these needs.

    Concat and Slice become views where they can and where that does not raise the lower bound.
    """
    store = choose_views(graph, needs)
    live = liveness(graph, needs, store)
    packing = plan(live.problem.buffers, live.problem.overlays, strategy=strategy)
    if packing.arena_bytes > packing.lower_bound_bytes and strategy in ("auto", "exact"):
        # What works in place need not: apart, the pieces may find better places.
        packing = replace(packing, proven=packing.proven and not live.in_place)
        loose = liveness(graph, needs, store, join=False)
        other = plan(loose.problem.buffers, loose.problem.overlays, strategy=strategy)
        if other.arena_bytes < packing.arena_bytes:
            live, packing = loose, other
    return _memory_plan(graph, store, live, packing)


def choose_views(graph: Graph, needs: Sequence[Need]) -> Storages:
    """Storages with as many joins and cuts elided as memory allows, decided one node at a time."""

    def bound(wanted: frozenset[int]) -> int:
        return lower_bound(liveness(graph, needs, storages(graph, wanted)).problem)

    candidates = [i for i, node in enumerate(graph.nodes) if isinstance(node.op, Concat | Slice)]
    wanted = storages(graph, frozenset(candidates)).elided & frozenset(candidates)
    if wanted:
        best = bound(wanted)
        for index in sorted(wanted):
            without = wanted - {index}
            if (bytes_without := bound(without)) < best:
                wanted, best = without, bytes_without
    return storages(graph, wanted)


def _memory_plan(graph: Graph, store: Storages, live: Liveness, packing: Packing) -> MemoryPlan:
    buffers = live.problem.buffers
    shared = dict(live.in_place)
    for overlay, (y, x) in zip(live.problem.overlays, live.overlaid, strict=True):
        out, into = packing.offsets[overlay.output], packing.offsets[overlay.input]
        if out < into + buffers[overlay.input].size_bytes and into < (
            out + buffers[overlay.output].size_bytes
        ):
            shared[y] = x
    records: list[Placed] = []
    for name, piece in store.pieces.items():
        buffer, offset = live.places[name]
        first, last = live.lives[name]
        owner = store.owners[piece.root]
        start = offset + (packing.offsets[buffer] if buffer is not None else 0)
        alias = shared.get(name) or _looks_at(name, graph, store)
        size_bytes = graph.tensors[name].size_bytes
        records.append(Placed(name, start, size_bytes, first, last, owner, alias))
    for node_index, buffer in live.scratch.items():
        b = buffers[buffer]
        name = graph.nodes[node_index].name
        start = packing.offsets[buffer]
        records.append(Placed(name, start, b.size_bytes, b.first, b.last, scratch=True))
    return MemoryPlan(
        tuple(sorted(records, key=lambda r: (r.first, r.scratch))),
        packing.arena_bytes,
        packing.lower_bound_bytes,
        packing.strategy,
        packing.proven,
        max((buffers[b].size_bytes for b in live.scratch.values()), default=0),
        store.elided,
    )


def _looks_at(name: str, graph: Graph, store: Storages) -> str:
    """The tensor that `name` is a view or a piece of, "" for none."""
    for index in store.elided:
        node = graph.nodes[index]
        if isinstance(node.op, View | Slice) and node.outputs[0] == name:
            return node.inputs[0]
        if isinstance(node.op, Concat) and name in node.inputs:
            return node.outputs[0]
    return ""
