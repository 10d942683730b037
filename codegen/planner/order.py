# SPDX-License-Identifier: MIT
"""The order of execution with the smallest peak, where branches leave a choice.

Search over sets of executed nodes, level by level, keeping the best `width` sets of each level:
exact while no level overflows, a beam search afterwards. Effort is counted in sets, so the result
is deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.ir import Graph
from codegen.planner.buffers import Buffer, Overlay, Problem, saving_bytes
from codegen.planner.liveness import Selection, activation_inputs
from codegen.planner.storage import storages
from codegen.target import Target

SETS = 40_000
"""Sets of executed nodes that the search may look at."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A node as the search sees it; storages are indices, sets of nodes are bit masks."""

    needs: int
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    scratch_bytes: int
    saves: tuple[tuple[int, int], ...]
    silent: bool


@dataclass(frozen=True, slots=True)
class _Path:
    """The cheapest way found to have executed a set of nodes."""

    peak_bytes: int
    live_bytes: int
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """All tasks; of each storage its size and the nodes (a mask) that read or make it."""

    tasks: tuple[_Task, ...]
    sizes: tuple[int, ...]
    users: tuple[int, ...]
    makers: tuple[int, ...]


def choose_order(graph: Graph, selection: Selection, target: Target) -> tuple[int, ...]:
    """Indices of `graph.nodes` in the order of least memory; the given order among equals."""
    work = _work(graph, selection, target)
    count = len(work.tasks)
    if count == 0:
        return ()
    width = max(4, min(2000, SETS // count))
    level = {0: _Path(0, 0, ())}
    everything = (1 << count) - 1
    while everything not in level:
        following: dict[int, _Path] = {}
        for done, path in level.items():
            for ready in _ready(work, done, path):
                mask, extended = _run(work, done, path, ready)
                known = following.get(mask)
                if known is None or _rank(extended) < _rank(known):
                    following[mask] = extended
        best = sorted(following.items(), key=lambda item: _rank(item[1]))[:width]
        level = dict(best)
    return level[everything].order


def reordered(graph: Graph, order: Sequence[int]) -> Graph:
    """The graph with its nodes in this order."""
    return replace(graph, nodes=tuple(graph.nodes[i] for i in order))


def _rank(path: _Path) -> tuple[int, int, tuple[int, ...]]:
    return path.peak_bytes, path.live_bytes, path.order


def _ready(work: _Work, done: int, path: _Path) -> list[int]:
    """Nodes that may run next; one alone when running it now cannot be worse than later."""
    ready = [
        i for i, task in enumerate(work.tasks) if not done >> i & 1 and task.needs & ~done == 0
    ]
    for i in ready:
        if work.tasks[i].silent:
            return [i]
    if len(ready) > 1:
        for i in ready:
            _, after = _run(work, done, path, i)
            if after.live_bytes <= path.live_bytes and after.peak_bytes <= path.peak_bytes:
                return [i]
    return ready


def _run(work: _Work, done: int, path: _Path, index: int) -> tuple[int, _Path]:
    """The set and the path after running one more node."""
    task = work.tasks[index]
    mask = done | 1 << index
    born = [s for s in task.makes if not work.makers[s] & done]
    during = path.live_bytes + sum(work.sizes[s] for s in born)
    dying = {s for s in (*task.reads, *task.makes) if work.users[s] & ~mask == 0}
    saved = max((bytes_ for s, bytes_ in task.saves if s in dying), default=0)
    peak = max(path.peak_bytes, during + task.scratch_bytes - saved)
    live = during - sum(work.sizes[s] for s in dying)
    return mask, _Path(peak, live, (*path.order, index))


def _work(graph: Graph, selection: Selection, target: Target) -> _Work:
    store = storages(graph, frozenset())
    arena = [root for root, owner in store.owners.items() if owner == "arena"]
    number = {root: i for i, root in enumerate(arena)}
    producer = {y: i for i, node in enumerate(graph.nodes) for y in node.outputs}
    users, makers = [0] * len(arena), [0] * len(arena)
    tasks: list[_Task] = []

    def storages_of(names: Sequence[str]) -> tuple[int, ...]:
        roots = dict.fromkeys(store.pieces[name].root for name in names)
        return tuple(number[root] for root in roots if root in number)

    for i, (node, variant) in enumerate(zip(graph.nodes, selection, strict=True)):
        inputs = activation_inputs(node, graph)
        reads, makes = storages_of(inputs), storages_of(node.outputs)
        silent = i in store.elided
        for s in (*reads, *makes):
            users[s] |= 1 << i
        if not silent:
            for s in makes:
                makers[s] |= 1 << i
        saves: list[tuple[int, int]] = []
        scratch_bytes = 0
        if variant is not None and not silent:
            scratch_bytes = variant.scratch_bytes(node, graph, target)
            for overlap in variant.overlaps(node, graph, target):
                x, y = (
                    graph.tensors[inputs[overlap.input]],
                    graph.tensors[node.outputs[overlap.output]],
                )
                pair = Problem(
                    (Buffer(y.name, y.size_bytes, 0, 0), Buffer(x.name, x.size_bytes, 0, 0))
                )
                saving = saving_bytes(pair, Overlay(0, 1, overlap.lead_bytes, overlap.exact))
                if makes and (into := storages_of([x.name])):
                    saves.append((into[0], saving))
        needs = sum(1 << p for p in {producer[x] for x in inputs if x in producer})
        tasks.append(_Task(needs, reads, makes, scratch_bytes, tuple(saves), silent))
    sizes = tuple(graph.tensors[root].size_bytes for root in arena)
    return _Work(tuple(tasks), sizes, tuple(users), tuple(makers))
