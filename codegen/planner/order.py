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
from codegen.planner.needs import Need, activation_inputs
from codegen.planner.storage import storages

SETS = 25_000
"""Sets of executed nodes that the search may look at."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A node as the search sees it; storages are indices, sets of nodes are bit masks."""

    before: int
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    scratch_bytes: int
    saves: tuple[tuple[int, int], ...]
    silent: bool


@dataclass(frozen=True, slots=True)
class _Path:
    """The cheapest way found to have executed a set of nodes: the last one, and the way before it.

    `ready` are the nodes that may run next, ascending.
    """

    peak_bytes: int
    live_bytes: int
    ready: tuple[int, ...]
    last: int = -1
    before: _Path | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """All tasks; of each storage its size and the nodes (a mask) that read or make it."""

    tasks: tuple[_Task, ...]
    followers: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    users: tuple[int, ...]
    makers: tuple[int, ...]


def choose_order(graph: Graph, needs: Sequence[Need], sets: int = SETS) -> tuple[int, ...]:
    """Indices of `graph.nodes` in the order of least memory; the given order among equals."""
    work = _work(graph, needs)
    count = len(work.tasks)
    width = max(4, sets // max(count, 1))
    start = _Path(0, 0, tuple(i for i, task in enumerate(work.tasks) if not task.before))
    level = {0: start}
    for _ in range(count):
        following: dict[int, _Path] = {}
        for done, path in level.items():
            for mask, extended in _steps(work, done, path):
                known = following.get(mask)
                if known is None or _rank(extended) < _rank(known):
                    following[mask] = extended
        best = sorted(following.items(), key=lambda item: _rank(item[1]))[:width]
        level = dict(best)
    found = level[(1 << count) - 1]
    return _order(found) if found.peak_bytes < _as_given(work) else tuple(range(count))


def reordered(graph: Graph, order: Sequence[int]) -> Graph:
    """The graph with its nodes in this order; itself when nothing moves."""
    if list(order) == list(range(len(graph.nodes))):
        return graph
    return replace(graph, nodes=tuple(graph.nodes[i] for i in order))


def _rank(path: _Path) -> tuple[int, int]:
    return path.peak_bytes, path.live_bytes


def _as_given(work: _Work) -> int:
    """The peak of the given order."""
    mask, path = 0, _Path(0, 0, ())
    for index in range(len(work.tasks)):
        mask, path = _run(work, mask, path, index)
    return path.peak_bytes


def _order(path: _Path) -> tuple[int, ...]:
    order: list[int] = []
    while path.before is not None:
        order.append(path.last)
        path = path.before
    return tuple(reversed(order))


def _steps(work: _Work, done: int, path: _Path) -> list[tuple[int, _Path]]:
    """The sets after one more node; one alone when running it now cannot be worse than later."""
    for i in path.ready:
        if work.tasks[i].silent:
            return [_run(work, done, path, i)]
    steps = []
    for i in path.ready:
        mask, after = _run(work, done, path, i)
        if after.live_bytes <= path.live_bytes and after.peak_bytes <= path.peak_bytes:
            return [(mask, after)]
        steps.append((mask, after))
    return steps


def _run(work: _Work, done: int, path: _Path, index: int) -> tuple[int, _Path]:
    """The set and the path after running one more node."""
    task = work.tasks[index]
    mask = done | 1 << index
    during = path.live_bytes
    for s in task.makes:
        if not work.makers[s] & done:
            during += work.sizes[s]
    dying = {s for s in (*task.reads, *task.makes) if not work.users[s] & ~mask}
    saved = max((size for s, size in task.saves if s in dying), default=0)
    peak = max(path.peak_bytes, during + task.scratch_bytes - saved)
    live = during - sum(work.sizes[s] for s in dying)
    freed = [i for i in work.followers[index] if not work.tasks[i].before & ~mask]
    ready = tuple(sorted({*path.ready, *freed} - {index}))
    return mask, _Path(peak, live, ready, index, path)


def _work(graph: Graph, needs: Sequence[Need]) -> _Work:
    store = storages(graph, frozenset())
    arena = [root for root, owner in store.owners.items() if owner == "arena"]
    number = {root: i for i, root in enumerate(arena)}
    producer = {y: i for i, node in enumerate(graph.nodes) for y in node.outputs}
    users, makers = [0] * len(arena), [0] * len(arena)
    tasks: list[_Task] = []

    def storages_of(names: Sequence[str]) -> tuple[int, ...]:
        roots = dict.fromkeys(store.pieces[name].root for name in names)
        return tuple(number[root] for root in roots if root in number)

    for i, (node, need) in enumerate(zip(graph.nodes, needs, strict=True)):
        inputs = activation_inputs(node, graph)
        reads, makes = storages_of(inputs), storages_of(node.outputs)
        silent = i in store.elided
        for s in (*reads, *makes):
            users[s] |= 1 << i
        if not silent:
            for s in makes:
                makers[s] |= 1 << i
        saves: list[tuple[int, int]] = []
        if not silent:
            for overlap in need.overlaps:
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
        before = sum(1 << p for p in {producer[x] for x in inputs if x in producer})
        tasks.append(_Task(before, reads, makes, need.scratch_bytes, tuple(saves), silent))
    sizes = tuple(graph.tensors[root].size_bytes for root in arena)
    followers = tuple(
        tuple(j for j, task in enumerate(tasks) if task.before >> i & 1) for i in range(len(tasks))
    )
    return _Work(tuple(tasks), followers, sizes, tuple(users), tuple(makers))
