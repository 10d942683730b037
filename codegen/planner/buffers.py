# SPDX-License-Identifier: MIT
"""The planner's problem: buffers with lifetimes, the overlaps that are allowed, and their geometry.

Offsets, sizes and leads are bytes; times are steps of the program, and a lifetime includes both
ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of memory that is needed from step `first` to step `last`."""

    name: str
    size_bytes: int
    first: int
    last: int
    align: int = 4

    def __post_init__(self) -> None:
        if self.size_bytes < 0 or self.align < 1 or self.first > self.last:
            raise ValueError(f"not a buffer: {self}")


@dataclass(frozen=True, slots=True)
class Overlay:
    """Buffer `output`, born at the step where buffer `input` dies, may share memory with it.

    `exact`: at the same offset. Otherwise wherever `offset(output) <= offset(input) - lead_bytes`.
    Both are indices into the problem's buffers; keeping apart is always allowed.
    """

    output: int
    input: int
    lead_bytes: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Buffers to place, and the pairs among them that may overlap."""

    buffers: tuple[Buffer, ...]
    overlays: tuple[Overlay, ...] = ()

    def __post_init__(self) -> None:
        for o in self.overlays:
            if self.buffers[o.output].first != self.buffers[o.input].last:
                raise ValueError(f"an overlap must last one step: {o}")

    @property
    def unit_bytes(self) -> int:
        """Every offset is a multiple of this."""
        return reduce(gcd, (b.align for b in self.buffers), 0) or 1


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each buffer lies. `proven`: no packing of these buffers is smaller."""

    offsets: tuple[int, ...]
    arena_bytes: int
    lower_bound_bytes: int
    strategy: str
    proven: bool

    @property
    def gap(self) -> float:
        """How far above the lower bound the arena is, as a fraction."""
        low = self.lower_bound_bytes
        return (self.arena_bytes - low) / low if low else 0.0


Interval = tuple[int, int]


def round_up(value: int, align: int) -> int:
    return -(-value // align) * align


def neighbours(problem: Problem) -> list[list[int]]:
    """For each buffer, those alive at the same time."""
    order = sorted(range(len(problem.buffers)), key=lambda i: problem.buffers[i].first)
    found: list[list[int]] = [[] for _ in order]
    alive: list[int] = []
    for i in order:
        first = problem.buffers[i].first
        alive = [j for j in alive if problem.buffers[j].last >= first]
        for j in alive:
            found[i].append(j)
            found[j].append(i)
        alive.append(i)
    return found


class Geometry:
    """Answers where a buffer may lie, given others that lie somewhere already."""

    __slots__ = ("_overlays", "buffers", "neighbours", "sizes", "unit_bytes")

    def __init__(self, problem: Problem) -> None:
        self.buffers = problem.buffers
        self.unit_bytes = problem.unit_bytes
        self.sizes = [round_up(b.size_bytes, self.unit_bytes) for b in problem.buffers]
        self.neighbours = neighbours(problem)
        self._overlays = {(o.output, o.input): o for o in problem.overlays}

    def forbidden(self, moving: int, fixed: int, offset: int) -> tuple[Interval, ...]:
        """Open intervals of offsets where `moving` would hurt `fixed`, which lies at `offset`."""
        low, high = offset - self.sizes[moving], offset + self.sizes[fixed]
        if self.sizes[moving] == 0 or self.sizes[fixed] == 0:
            return ()
        if overlay := self._overlays.get((moving, fixed)):
            if overlay.exact:
                return (low, offset), (offset, high)
            return ((max(low, offset - overlay.lead_bytes), high),)
        if overlay := self._overlays.get((fixed, moving)):
            if overlay.exact:
                return (low, offset), (offset, high)
            return ((low, min(high, offset + overlay.lead_bytes)),)
        return ((low, high),)

    def lowest(self, moving: int, placed: Sequence[int | None], at_least: int = 0) -> int:
        """The lowest allowed offset of `moving` among its placed neighbours."""
        intervals: list[Interval] = []
        for other in self.neighbours[moving]:
            offset = placed[other]
            if offset is not None:
                intervals += self.forbidden(moving, other, offset)
        intervals.sort()
        align = self.buffers[moving].align
        offset = round_up(at_least, align)
        for low, high in intervals:
            if low < offset < high:
                offset = round_up(high, align)
        return offset

    def height(self, offsets: Sequence[int]) -> int:
        """Bytes from 0 to the highest end."""
        return max((o + s for o, s in zip(offsets, self.sizes, strict=True)), default=0)

    def place(self, order: Iterable[int]) -> tuple[int, ...]:
        """Offsets when the buffers come in this order, each to its lowest allowed offset."""
        placed: list[int | None] = [None] * len(self.buffers)
        for i in order:
            placed[i] = self.lowest(i, placed)
        return tuple(o for o in placed if o is not None)


def saving_bytes(problem: Problem, overlay: Overlay) -> int:
    """The most bytes that an allowed overlap can save, between offsets in whole units."""
    unit = problem.unit_bytes
    out = round_up(problem.buffers[overlay.output].size_bytes, unit)
    into = round_up(problem.buffers[overlay.input].size_bytes, unit)
    lead = 0 if overlay.exact else round_up(max(overlay.lead_bytes, 0), unit)
    return max(0, out + into - max(into + lead, out))


def lower_bound(problem: Problem) -> int:
    """No packing is smaller: the largest sum alive at one step, less what overlaps can save."""
    return max(live_bytes(problem).values(), default=0)


def live_bytes(problem: Problem) -> dict[int, int]:
    """Bytes alive at each step where that changes, less what overlaps can save."""
    buffers = problem.buffers
    unit = problem.unit_bytes
    change: dict[int, int] = {}
    for b in buffers:
        size = round_up(b.size_bytes, unit)
        change[b.first] = change.get(b.first, 0) + size
        change[b.last + 1] = change.get(b.last + 1, 0) - size
    saved: dict[int, dict[int, int]] = {}
    for overlay in problem.overlays:
        out = buffers[overlay.output]
        at_step = saved.setdefault(out.first, {})
        total = at_step.get(overlay.output, 0) + saving_bytes(problem, overlay)
        at_step[overlay.output] = min(total, round_up(out.size_bytes, unit))
    live = 0
    found: dict[int, int] = {}
    for step in sorted(change):
        live += change[step]
        found[step] = live - sum(saved.get(step, {}).values())
    return found
