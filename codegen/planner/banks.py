# SPDX-License-Identifier: MIT
"""An arena over several memories: which buffer lies in which, and where.

Each buffer lies whole in one bank. Banks come in order of preference, so the search wants the
buffers that are used most in the first ones. It assigns by the bytes alive at each step alone;
then every bank is packed as an arena of its own, and where a packing is higher than that, the bank
counts as so much smaller and the search starts again.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from codegen.planner.buffers import Geometry, Overlay, Packing, Problem, round_up, saving_bytes
from codegen.planner.strategy import Strategy, plan

NODES = 20_000
"""Assignments that may be tried, over all orders and rounds: about a second of CPU."""

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Bank:
    """A memory that may hold a part of the arena."""

    name: str
    size_bytes: int

    @property
    def memory(self) -> str:
        """What plan and program call that part: a piece of a C identifier."""
        return "arena_" + re.sub(r"[^A-Za-z0-9_]", "_", self.name)


@dataclass(frozen=True, slots=True)
class Split:
    """The bank of each buffer and its offset there, and how high each bank is filled.

    `worth` adds up the uses of each buffer times the number of banks behind its own; no split is
    worth more than `bound`.
    """

    homes: tuple[int, ...]
    offsets: tuple[int, ...]
    used_bytes: tuple[int, ...]
    worth: int
    bound: int


def split(
    problem: Problem, banks: Sequence[Bank], uses: Sequence[int], *, strategy: Strategy = "auto"
) -> Split | None:
    """The best split found, None when none was; `uses` says how often each buffer is accessed."""
    room = [bank.size_bytes // problem.unit_bytes * problem.unit_bytes for bank in banks]
    bound = _bound(problem, room, uses)
    for _ in range(_ROUNDS):
        homes = _assign(problem, room, uses, bound, NODES // _ROUNDS)
        if homes is None:
            return None
        packed = [_packed(problem, homes, k, strategy) for k in range(len(banks))]
        excess = [p.arena_bytes - b.size_bytes for (_, p), b in zip(packed, banks, strict=True)]
        if max(excess) <= 0:
            offsets = [0] * len(homes)
            for members, packing in packed:
                for i, offset in zip(members, packing.offsets, strict=True):
                    offsets[i] = offset
            used = tuple(packing.arena_bytes for _, packing in packed)
            return Split(homes, tuple(offsets), used, _worth(homes, uses, len(banks)), bound)
        room = [
            r - round_up(max(0, e), problem.unit_bytes) for r, e in zip(room, excess, strict=True)
        ]
    return None


def _worth(homes: Sequence[int], uses: Sequence[int], banks: int) -> int:
    return sum(n * (banks - 1 - home) for n, home in zip(uses, homes, strict=True))


def _packed(
    problem: Problem, homes: Sequence[int], bank: int, strategy: Strategy
) -> tuple[list[int], Packing]:
    """The buffers of a bank, and their packing."""
    members = [i for i, home in enumerate(homes) if home == bank]
    index = {i: number for number, i in enumerate(members)}
    overlays = [
        Overlay(index[o.output], index[o.input], o.lead_bytes, o.exact)
        for o in problem.overlays
        if o.output in index and o.input in index
    ]
    return members, plan([problem.buffers[i] for i in members], overlays, strategy=strategy)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps at which something is born, as numbers 0, 1...: `spans` of the buffers among them,
    and each buffer's overlays as (other, the step they share, bytes saved)."""

    count: int
    spans: tuple[range, ...]
    shared: tuple[tuple[tuple[int, int, int], ...], ...]


def _steps(problem: Problem) -> _Steps:
    births = sorted({b.first for b in problem.buffers})
    spans = tuple(
        range(bisect_left(births, b.first), bisect_right(births, b.last)) for b in problem.buffers
    )
    shared: list[list[tuple[int, int, int]]] = [[] for _ in problem.buffers]
    for o in problem.overlays:
        saved = round_up(saving_bytes(problem, o), problem.unit_bytes)
        step = spans[o.output].start
        shared[o.output].append((o.input, step, saved))
        shared[o.input].append((o.output, step, saved))
    return _Steps(len(births), spans, tuple(map(tuple, shared)))


def _bound(problem: Problem, room: Sequence[int], uses: Sequence[int]) -> int:
    """No split is worth more: the uses of each buffer spread evenly over its steps, and at each
    step the memory filled with the densest buffers, the last one in part."""
    steps, sizes = _steps(problem), Geometry(problem).sizes
    total = 0.0
    for step in range(steps.count):
        alive = [i for i, span in enumerate(steps.spans) if step in span]
        slack = sum(s for i in alive for _, at, s in steps.shared[i] if at == step)
        alive.sort(key=lambda i: (-uses[i] / len(steps.spans[i]) / max(sizes[i], 1), i))
        for last in range(1, len(room)):
            left = sum(room[:last]) + slack
            for i in alive:
                share = min(1.0, left / sizes[i]) if sizes[i] else 1.0
                left -= round(share * sizes[i])
                total += share * uses[i] / len(steps.spans[i])
    most = (len(room) - 1) * sum(uses)
    return min(most, round(total + 0.5))


def _assign(
    problem: Problem, room: Sequence[int], uses: Sequence[int], bound: int, nodes: int
) -> tuple[int, ...] | None:
    """The bank of each buffer, such that at each step the bytes alive fit; None when not found."""
    sizes, steps = Geometry(problem).sizes, _steps(problem)
    everyone = range(len(sizes))
    orders = (
        sorted(everyone, key=lambda i: (-uses[i] / len(steps.spans[i]) / max(sizes[i], 1), i)),
        sorted(everyone, key=lambda i: (-sizes[i], i)),
        sorted(everyone, key=lambda i: (-sizes[i] * len(steps.spans[i]), i)),
    )
    best: tuple[int, ...] | None = None
    worth = -1
    for order in orders:
        if worth >= bound:
            break
        free = [[bytes_] * steps.count for bytes_ in room]
        search = _Search(sizes, steps, uses, order, bound, free, nodes // len(orders), worth)
        search.descend(0, 0)
        if search.best is not None:
            best, worth = search.best, search.best_worth
    return best


@dataclass(slots=True)
class _Search:
    """Depth first: buffers in a fixed order, each to the first bank with room, then the next."""

    sizes: Sequence[int]
    steps: _Steps
    uses: Sequence[int]
    order: Sequence[int]
    bound: int
    free: list[list[int]]
    nodes_left: int
    best_worth: int
    best: tuple[int, ...] | None = None
    homes: dict[int, int] = field(default_factory=dict)

    def descend(self, depth: int, worth: int) -> None:
        """Place what comes from `depth` on in the order; `worth` is that of those before."""
        if depth == len(self.order):
            if worth > self.best_worth:
                self.best_worth = worth
                self.best = tuple(self.homes[i] for i in range(len(self.order)))
            return
        self.nodes_left -= 1
        behind = len(self.free) - 1
        if worth + behind * sum(self.uses[i] for i in self.order[depth:]) <= self.best_worth:
            return
        i = self.order[depth]
        for bank in range(len(self.free)):
            if self._put(i, bank):
                self.homes[i] = bank
                self.descend(depth + 1, worth + self.uses[i] * (behind - bank))
                del self.homes[i]
                self._take(i, bank)
            if self.nodes_left <= 0 or self.best_worth >= self.bound:
                return

    def _put(self, i: int, bank: int) -> bool:
        """Whether the bank has room for the buffer; then it is taken."""
        self._change(i, bank, 1)
        if all(self.free[bank][step] >= 0 for step in self.steps.spans[i]):
            return True
        self._take(i, bank)
        return False

    def _take(self, i: int, bank: int) -> None:
        self._change(i, bank, -1)

    def _change(self, i: int, bank: int, sign: int) -> None:
        free = self.free[bank]
        for step in self.steps.spans[i]:
            free[step] -= sign * self.sizes[i]
        for other, step, saved in self.steps.shared[i]:
            if self.homes.get(other) == bank:
                free[step] += sign * saved
