# SPDX-License-Identifier: MIT
"""Plan the memory of a graph: which joins and cuts need no code, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.errors import PlanError, Problem
from codegen.ir import Graph
from codegen.kernels import cost
from codegen.ops import Concat, Slice, View
from codegen.planner.banks import Bank, Split, split
from codegen.planner.buffers import Packing, lower_bound
from codegen.planner.liveness import Liveness, liveness
from codegen.planner.memory_plan import BankUse, MemoryPlan, Placed
from codegen.planner.needs import Need, activation_inputs
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
        loose = liveness(graph, needs, store, join=False)
        other = plan(loose.problem.buffers, loose.problem.overlays, strategy=strategy)
        if other.arena_bytes < packing.arena_bytes:
            live, packing = loose, other
        elif live.in_place:
            packing = replace(packing, proven=other.proven)
    return _memory_plan(graph, store, live, packing)


def plan_banks(
    graph: Graph, needs: Sequence[Need], banks: Sequence[Bank], *, strategy: Strategy = "auto"
) -> MemoryPlan:
    """As `plan_memory`, with the arena spread over `banks`, which come in order of preference.

    What is accessed most goes first into the first bank. Raises PlanError when no split is found.
    """
    if len({bank.memory for bank in banks}) < len(banks):
        raise PlanError(Problem("two memories are spelled alike in C", "placement of the arena"))
    store = choose_views(graph, needs)
    tries = [liveness(graph, needs, store, join=join) for join in (True, False)]
    for live in tries:
        found = split(live.problem, banks, _uses(graph, needs, live), strategy=strategy)
        if found is not None:
            return _bank_plan(graph, store, live, banks, found)
    bound = lower_bound(tries[0].problem)
    largest = max(tries[0].problem.buffers, key=lambda b: b.size_bytes)
    listed = " + ".join(f"{b.size_bytes} in {b.name}" for b in banks)
    raise PlanError(
        Problem(
            f"the arena does not fit {listed} bytes: {bound} are needed at once, the largest piece "
            f"{largest.name[-60:]!r} has {largest.size_bytes}",
            "placement of the arena",
            "name more or larger memories",
        )
    )


def _bank_plan(
    graph: Graph, store: Storages, live: Liveness, banks: Sequence[Bank], found: Split
) -> MemoryPlan:
    names = [bank.memory for bank in banks]
    packing = Packing(
        found.offsets, sum(found.used_bytes), lower_bound(live.problem), "banks", False
    )
    plan = _memory_plan(graph, store, live, packing, [names[home] for home in found.homes])
    uses = tuple(
        BankUse(memory, bank.name, used, bank.size_bytes)
        for memory, bank, used in zip(names, banks, found.used_bytes, strict=True)
        if used
    )
    gap = (found.bound - found.worth) / found.bound if found.bound else 0.0
    return replace(plan, banks=uses, worth_gap=gap)


def _uses(graph: Graph, needs: Sequence[Need], live: Liveness) -> list[int]:
    """How often kernels access each buffer: once per byte that is written or read, and for each
    multiplication where its operands are fetched from: the scratch if there is one, else the input.
    A ranking, not a forecast."""
    uses = [1] * len(live.problem.buffers)
    for index, (node, need) in enumerate(zip(graph.nodes, needs, strict=True)):
        if live.steps[index] is None:
            continue
        inputs = activation_inputs(node, graph)
        for name in (*inputs, *node.outputs):
            if (buffer := live.places[name][0]) is not None:
                uses[buffer] += graph.tensors[name].size_bytes
        operand = live.scratch.get(index, live.places[inputs[0]][0] if inputs else None)
        if operand is not None:
            uses[operand] += max(cost.macs(node, graph), need.scratch_bytes)
    return uses


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


def _memory_plan(
    graph: Graph,
    store: Storages,
    live: Liveness,
    packing: Packing,
    homes: Sequence[str] = (),
) -> MemoryPlan:
    """The plan; `homes` are the memories of the buffers, "arena" by default."""
    buffers = live.problem.buffers
    homes = homes or ["arena"] * len(buffers)
    shared = dict(live.in_place)
    for overlay, (y, x) in zip(live.problem.overlays, live.overlaid, strict=True):
        out, into = packing.offsets[overlay.output], packing.offsets[overlay.input]
        together = homes[overlay.input] == homes[overlay.output]
        if (
            together
            and out < into + buffers[overlay.input].size_bytes
            and into < (out + buffers[overlay.output].size_bytes)
        ):
            shared[y] = x
    records: list[Placed] = []
    for name, piece in store.pieces.items():
        buffer, offset = live.places[name]
        first, last = live.lives[name]
        owner = store.owners[piece.root] if buffer is None else homes[buffer]
        start = offset + (packing.offsets[buffer] if buffer is not None else 0)
        alias = shared.get(name) or _looks_at(name, graph, store)
        size_bytes = graph.tensors[name].size_bytes
        records.append(Placed(name, start, size_bytes, first, last, owner, alias))
    for node_index, buffer in live.scratch.items():
        b = buffers[buffer]
        name = graph.nodes[node_index].name
        start = packing.offsets[buffer]
        records.append(
            Placed(name, start, b.size_bytes, b.first, b.last, homes[buffer], scratch=True)
        )
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
