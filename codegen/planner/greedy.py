# SPDX-License-Identifier: MIT
"""Greedy placement in an order of importance; by size it is Pisarchyk and Lee's "Efficient Memory
Management for Deep Neural Net Inference" (2020), section 5.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codegen.planner.buffers import Buffer, Geometry, Problem


def greedy_by_size(problem: Problem) -> tuple[int, ...]:
    """Offsets when the largest buffer comes first, each to its lowest gap."""
    return _greedy(problem, ORDERS["size"])


def greedy_in_every_order(problem: Problem) -> tuple[int, ...]:
    """The lowest of several greedy placements: by size, duration, area, and birth."""
    geometry = Geometry(problem)
    tries = [_greedy(problem, key) for key in ORDERS.values()]
    return min(tries, key=geometry.height)


def _greedy(problem: Problem, key: Callable[[Buffer], tuple[int, ...]]) -> tuple[int, ...]:
    buffers = problem.buffers
    return Geometry(problem).place(sorted(range(len(buffers)), key=lambda i: key(buffers[i])))


def _steps(buffer: Buffer) -> int:
    return buffer.last - buffer.first + 1


ORDERS: Mapping[str, Callable[[Buffer], tuple[int, ...]]] = {
    "size": lambda b: (-b.size_bytes, b.first),
    "duration": lambda b: (-_steps(b), -b.size_bytes, b.first),
    "area": lambda b: (-_steps(b) * b.size_bytes, b.first),
    "birth": lambda b: (b.first, -b.size_bytes),
    "death": lambda b: (-b.last, -b.size_bytes),
}
