# SPDX-License-Identifier: MIT
"""Exact packing by branch and bound over canonical packings.

Push every buffer of a packing down until it rests on the floor or on another buffer: none got
higher. So it is enough to search packings that grow from the bottom, each buffer at an offset no
lower than the one before, resting on those below. The pruning rule that a buffer must not leave a
gap below it into which an unplaced one fits whole is that of Moffitt, "MiniMalloc" (ASPLOS 2023).
Effort is counted in search nodes, never in seconds, so that the same problem always gives the same
packing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codegen.planner.buffers import Geometry, Problem, lower_bound, round_up, saving_bytes

NODES = 20_000
"""Search nodes before the search gives up; about a second of CPU on a 50-buffer problem."""


@dataclass(slots=True)
class _Search:
    """One search for packings lower than `best_height`."""

    problem: Problem
    geometry: Geometry
    bound: int
    best: tuple[int, ...]
    best_height: int
    nodes_left: int
    sections: list[list[int]] = field(default_factory=list)
    sections_of: list[list[int]] = field(default_factory=list)
    slack: list[int] = field(default_factory=list)
    paired: set[int] = field(default_factory=set)

    def prepare(self) -> None:
        """Cut time into sections: only the largest sets of buffers alive together matter."""
        buffers = self.problem.buffers
        for step in sorted({b.first for b in buffers}):
            alive = [i for i, b in enumerate(buffers) if b.first <= step <= b.last]
            if self.sections and set(self.sections[-1]) <= set(alive):
                self.sections.pop()
            self.sections.append(alive)
        self.sections_of = [[] for _ in buffers]
        for number, alive in enumerate(self.sections):
            for i in alive:
                self.sections_of[i].append(number)
        self.slack = [0] * len(self.sections)
        for overlay in self.problem.overlays:
            self.paired |= {overlay.output, overlay.input}
            saving = round_up(saving_bytes(self.problem, overlay), self.geometry.unit_bytes)
            for number, alive in enumerate(self.sections):
                if overlay.output in alive and overlay.input in alive:
                    self.slack[number] += saving

    def run(self) -> bool:
        """Search; whether the whole space was seen."""
        sizes = self.geometry.sizes
        floors = [0] * len(self.sections)
        waiting = [sum(sizes[i] for i in alive) for alive in self.sections]
        placed: list[int | None] = [None] * len(sizes)
        for i, size in enumerate(sizes):
            if size == 0:
                placed[i] = 0
        return self._descend(placed, floors, waiting, 0, 0)

    def _descend(
        self, placed: list[int | None], floors: list[int], waiting: list[int], base: int, top: int
    ) -> bool:
        if self.best_height <= self.bound:
            return True
        if self.nodes_left <= 0:
            return False
        self.nodes_left -= 1
        if all(offset is not None for offset in placed):
            self.best, self.best_height = tuple(o for o in placed if o is not None), top
            return True
        for number, left in enumerate(waiting):
            if left and max(floors[number], base) + left - self.slack[number] >= self.best_height:
                return True
        complete = True
        for offset, _, i in self._candidates(placed, floors, base):
            end = offset + self.geometry.sizes[i]
            if end >= self.best_height:
                continue
            next_floors, next_waiting = floors.copy(), waiting.copy()
            for number in self.sections_of[i]:
                next_floors[number] = max(next_floors[number], end)
                next_waiting[number] -= self.geometry.sizes[i]
            placed[i] = offset
            complete &= self._descend(placed, next_floors, next_waiting, offset, max(top, end))
            placed[i] = None
        return complete

    def _candidates(
        self, placed: list[int | None], floors: list[int], base: int
    ) -> list[tuple[int, int, int]]:
        """(offset, order, buffer) of each that may come next, the most promising first."""
        sizes = self.geometry.sizes
        found: list[tuple[int, int, int]] = []
        roof = self.best_height
        for i, offset in enumerate(placed):
            if offset is not None:
                continue
            if i in self.paired:
                offset = self.geometry.lowest(i, placed, base)
            else:
                floor = max(floors[number] for number in self.sections_of[i])
                offset = round_up(floor, self.problem.buffers[i].align)
                roof = min(
                    roof, max(offset, round_up(base, self.problem.buffers[i].align)) + sizes[i]
                )
                if offset < base:
                    continue
            found.append((offset, -sizes[i] * len(self.sections_of[i]), i))
        return sorted(c for c in found if c[0] < roof)


def exact(
    problem: Problem, start: tuple[int, ...], nodes: int = NODES
) -> tuple[tuple[int, ...], bool]:
    """The lowest packing found from `start`, and whether it is proven that none is lower.

    The proof is the lower bound, or the end of the search; with overlaps among the buffers only the
    former, because a buffer may then rest on one that lies higher.
    """
    geometry = Geometry(problem)
    search = _Search(
        problem, geometry, lower_bound(problem), start, geometry.height(start), nodes
    )  # fmt: skip
    if search.best_height > search.bound:
        search.prepare()
    complete = search.best_height <= search.bound or search.run()
    proven = search.best_height <= search.bound or (complete and not problem.overlays)
    return search.best, proven
