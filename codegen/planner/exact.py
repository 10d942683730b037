# SPDX-License-Identifier: MIT
"""Exact packing by branch and bound over canonical packings.

Push every buffer of a packing down until it rests on the floor or on another buffer: none got
higher. So it is enough to search packings that grow from the bottom, each buffer at an offset no
lower than the one before, resting on those below. A buffer never leaves a gap below it into which
an unplaced one fits whole, and time is cut into sections of which only the fullest matter: both as
in Moffitt, "MiniMalloc" (ASPLOS 2023). Effort is counted in search nodes, never in seconds, so
that the same problem always gives the same packing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.planner.buffers import Geometry, Problem, lower_bound, round_up, saving_bytes

NODES = 10_000
"""Search nodes before the search gives up, with 50 buffers or fewer: about half a second of CPU.
With more there are fewer in proportion, for each costs more."""


@dataclass(frozen=True, slots=True)
class _Sections:
    """Time cut where the largest sets of buffers are alive together.

    `alive`: the buffers of each section; `span`: first section and end of each buffer; `slack`:
    bytes that overlaps may save in a section; `paired`: buffers that may overlap another.
    """

    alive: tuple[tuple[int, ...], ...]
    span: tuple[tuple[int, int], ...]
    slack: tuple[int, ...]
    paired: frozenset[int]


def exact(
    problem: Problem, start: tuple[int, ...], nodes: int = NODES
) -> tuple[tuple[int, ...], bool]:
    """The lowest packing found from `start`, and whether it is proven that none is lower.

    Half the nodes go to finding a packing of exactly the lower bound, where pruning is sharpest.
    The proof is that bound, or the end of the search; with overlaps among the buffers a buffer may
    rest on one that lies higher, so that only trying everything ends it.
    """
    geometry = Geometry(problem)
    bound, height = lower_bound(problem), geometry.height(start)
    if height <= bound:
        return start, True
    sections = _cut(problem, geometry)
    nodes = nodes * 50 // max(50, len(start))
    search = _Search(problem, geometry, sections, bound, start, bound + problem.unit_bytes)
    search.nodes_left = nodes // 2
    search.run()
    if search.best_height > bound:
        used = nodes // 2 - search.nodes_left
        search = _Search(problem, geometry, sections, bound, start, height)
        search.nodes_left = nodes - used
        complete = search.run()
        if problem.overlays:
            return _everywhere(geometry, search.best, nodes)
        return search.best, complete
    return search.best, True


def _everywhere(
    geometry: Geometry, best: tuple[int, ...], tries: int
) -> tuple[tuple[int, ...], bool]:
    """As `exact`, by trying every unit for every buffer: proves small problems with overlaps."""
    sizes, unit = geometry.sizes, geometry.unit_bytes
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    placed: list[int | None] = [None] * len(sizes)
    left = tries

    def descend(turn: int, height: int) -> bool:
        """Whether the rest fits below `height`; False also when no tries are left."""
        nonlocal left
        if turn == len(order):
            return True
        i = order[turn]
        for offset in range(0, height - sizes[i], max(unit, geometry.buffers[i].align)):
            left -= 1
            if left < 0:
                return False
            hurts = (
                low < offset < high
                for j in geometry.neighbours[i]
                if (at := placed[j]) is not None
                for low, high in geometry.forbidden(i, j, at)
            )
            if not any(hurts):
                placed[i] = offset
                if descend(turn + 1, height):
                    return True
                placed[i] = None
        return False

    while descend(0, geometry.height(best)):
        best = tuple(o or 0 for o in placed)
        placed = [None] * len(sizes)
    return best, left >= 0


def _cut(problem: Problem, geometry: Geometry) -> _Sections:
    buffers = problem.buffers
    alive: list[tuple[int, ...]] = []
    for step in sorted({b.first for b in buffers}):
        now = tuple(
            i for i, b in enumerate(buffers) if b.first <= step <= b.last and geometry.sizes[i]
        )
        if alive and set(alive[-1]) <= set(now):
            alive.pop()
        if not (alive and set(now) <= set(alive[-1])):
            alive.append(now)
    span = []
    for i in range(len(buffers)):
        within = [number for number, members in enumerate(alive) if i in members]
        span.append((within[0], within[-1] + 1) if within else (0, 0))
    slack = [0] * len(alive)
    paired: set[int] = set()
    for overlay in problem.overlays:
        paired |= {overlay.output, overlay.input}
        saving = saving_bytes(problem, overlay)
        for number, members in enumerate(alive):
            if overlay.output in members and overlay.input in members:
                slack[number] += saving
    return _Sections(tuple(alive), tuple(span), tuple(slack), frozenset(paired))


@dataclass(slots=True)
class _Search:
    """One search for packings lower than `best_height`; `best` is the lowest found so far."""

    problem: Problem
    geometry: Geometry
    sections: _Sections
    bound: int
    best: tuple[int, ...]
    best_height: int
    nodes_left: int = 0

    def run(self) -> bool:
        """Search; whether the whole space was seen."""
        sizes = self.geometry.sizes
        placed: list[int | None] = [0 if size == 0 else None for size in sizes]
        floors = [0] * len(self.sections.alive)
        waiting = [sum(sizes[i] for i in members) for members in self.sections.alive]
        return self._descend(placed, floors, waiting, 0, 0)

    def _descend(
        self, placed: list[int | None], floors: list[int], waiting: list[int], base: int, top: int
    ) -> bool:
        if self.best_height <= self.bound:
            return True
        if self.nodes_left <= 0:
            return False
        self.nodes_left -= 1
        lows = self._lows(placed, floors, waiting, base)
        if lows is None:
            return True
        if not lows:
            self.best, self.best_height = tuple(o or 0 for o in placed), top
            return True
        complete = True
        for offset, i in self._candidates(lows, placed, base):
            size = self.geometry.sizes[i]
            if offset + size >= self.best_height:
                continue
            next_floors, next_waiting = floors.copy(), waiting.copy()
            for number in range(*self.sections.span[i]):
                next_floors[number] = max(next_floors[number], offset + size)
                next_waiting[number] -= size
            placed[i] = offset
            higher = max(top, offset + size)
            complete &= self._descend(placed, next_floors, next_waiting, offset, higher)
            placed[i] = None
        return complete

    def _lows(
        self, placed: Sequence[int | None], floors: list[int], waiting: list[int], base: int
    ) -> dict[int, int] | None:
        """The lowest offset of each unplaced buffer; None when no lower packing can follow."""
        sections, sizes, buffers = self.sections, self.geometry.sizes, self.problem.buffers
        lows: dict[int, int] = {}
        for i, offset in enumerate(placed):
            if offset is None:
                first, end = sections.span[i]
                lows[i] = round_up(max(floors[first:end]), buffers[i].align)
                if i in sections.paired:
                    lows[i] = self.geometry.lowest(i, placed, base)
                elif max(lows[i], base) + sizes[i] >= self.best_height:
                    return None
        for number, members in enumerate(sections.alive):
            if waiting[number]:
                floor = floors[number]
                if not sections.slack[number]:
                    # Below the lowest that still comes here nothing can lie any more.
                    floor = max(base, min(lows[i] for i in members if i in lows))
                if floor + waiting[number] - sections.slack[number] >= self.best_height:
                    return None
        return lows

    def _candidates(
        self, lows: dict[int, int], placed: Sequence[int | None], base: int
    ) -> list[tuple[int, int]]:
        """(offset, buffer) of each that may come next, the most promising first."""
        sizes, span = self.geometry.sizes, self.sections.span
        roof = min(max(low, base) + sizes[i] for i, low in lows.items())
        found = [
            (low, -sizes[i] * (span[i][1] - span[i][0]), i)
            for i, low in lows.items()
            if base <= low < roof
        ]
        return [(low, i) for low, _, i in sorted(found)]
