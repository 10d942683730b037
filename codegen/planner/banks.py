# SPDX-License-Identifier: MIT
"""An arena over several memories: which buffer lies in which, and where.

Each buffer lies whole in one bank. Banks come in order of preference, so the search wants the
buffers that are used most in the first ones. It assigns by the bytes alive at each step alone,
which is exact as long as few are alive at once, as in networks; then every bank is packed as an
arena of its own, and where a packing is higher than that, the bank counts as so much smaller and
the search starts again.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.planner.buffers import Geometry, Overlay, Packing, Problem, round_up, saving_bytes
from codegen.planner.strategy import Strategy, plan

WAYS = 5000
"""Ways to assign what is alive at a step of which the search keeps track."""

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
    whole, bound = room, _bound(problem, room, uses)
    for _ in range(_ROUNDS):
        homes, complete = _assign(problem, room, uses)
        if homes is None:
            return None
        if complete and room == whole:
            bound = _worth(homes, uses, len(banks))
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
        saved = saving_bytes(problem, o)
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
            left, largest = sum(room[:last]) + slack, max(room[:last])
            for i in (i for i in alive if sizes[i] <= largest):
                share = min(1.0, left / sizes[i]) if sizes[i] else 1.0
                left -= round(share * sizes[i])
                total += share * uses[i] / len(steps.spans[i])
    most = (len(room) - 1) * sum(uses)
    return min(most, round(total + 0.5))


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to have assigned everything so far: what it is worth, the bytes in each bank, and the
    way before it with the buffer that came last and its bank."""

    worth: int
    load: tuple[int, ...]
    before: _Way | None = None
    buffer: int = 0
    bank: int = 0


_Ways = dict[tuple[int, ...], _Way]
"""The best way for each assignment of what is alive."""


def _assign(
    problem: Problem, room: Sequence[int], uses: Sequence[int]
) -> tuple[tuple[int, ...] | None, bool]:
    """The bank of each buffer, such that at each step the bytes alive fit, None when not found;
    and whether that is the best there is.

    Along the program, as the future depends on the past only by what is alive: of all ways to the
    same assignment of that, the one worth most is kept.
    """
    sizes, steps = Geometry(problem).sizes, _steps(problem)
    alive: list[int] = []
    ways: _Ways = {(): _Way(0, (0,) * len(room))}
    complete = True
    for step in range(steps.count):
        stay = [k for k, i in enumerate(alive) if step in steps.spans[i]]
        alive = [alive[k] for k in stay]
        ways = _merged(ways, stay, [sizes[i] for i in alive], len(room))
        for i in (i for i, span in enumerate(steps.spans) if span.start == step):
            at = {other: k for k, other in enumerate(alive)}
            mates = [(at[j], saved) for j, s, saved in steps.shared[i] if s == step and j in at]
            grown = {
                (*homes, bank): _Way(
                    way.worth + uses[i] * (len(room) - 1 - bank), load, way, i, bank
                )
                for homes, way in ways.items()
                for bank in range(len(room))
                if (load := _loaded(way.load, bank, sizes[i], homes, mates))[bank] <= room[bank]
            }
            alive.append(i)
            complete &= len(grown) <= WAYS
            ways = dict(sorted(grown.items(), key=lambda w: (-w[1].worth, w[0]))[:WAYS])
    last = max(ways.values(), key=lambda way: way.worth, default=None)
    if last is None:
        return None, complete
    homes = [0] * len(sizes)
    while last.before is not None:
        homes[last.buffer] = last.bank
        last = last.before
    return tuple(homes), complete


def _merged(ways: _Ways, stay: Sequence[int], sizes: Sequence[int], banks: int) -> _Ways:
    """The ways without what died: of those that agree on the rest, the one worth most."""
    merged: _Ways = {}
    for homes, way in ways.items():
        key = tuple(homes[k] for k in stay)
        if key not in merged or merged[key].worth < way.worth:
            load = [0] * banks
            for size, home in zip(sizes, key, strict=True):
                load[home] += size
            merged[key] = replace(way, load=tuple(load))
    return merged


def _loaded(
    load: tuple[int, ...],
    bank: int,
    size: int,
    homes: tuple[int, ...],
    mates: Sequence[tuple[int, int]],
) -> tuple[int, ...]:
    """The bytes in each bank with one more buffer, which may overlap `mates` that lie there too."""
    more = size - sum(saved for k, saved in mates if homes[k] == bank)
    return (*load[:bank], load[bank] + more, *load[bank + 1 :])
