# SPDX-License-Identifier: MIT
"""Local search over orders of placement: move what makes the arena high, keep what helps."""

from __future__ import annotations

import random

from codegen.planner.buffers import Geometry, Problem, lower_bound

PLACEMENTS = 150_000
"""Buffers that may be placed, over all orders tried: about a second of CPU."""

_RESTART_EVERY = 100


def improve(
    problem: Problem, start: tuple[int, ...], placements: int = PLACEMENTS
) -> tuple[int, ...]:
    """Offsets at most as high as `start`, the same for the same problem.

    A buffer that reaches the top moves to an earlier turn, or a neighbour of it to any; the new
    order stays when it is no higher, seldom otherwise, and every hundred tries the best returns.
    """
    geometry = Geometry(problem)
    bound = lower_bound(problem)
    dice = random.Random(0)
    order = sorted(range(len(start)), key=lambda i: (start[i], i))
    offsets = best = start
    height = best_height = geometry.height(start)
    best_order = order
    for turn in range(placements // max(len(start), 1)):
        if best_height <= bound:
            break
        changed = _shuffle(order, offsets, height, geometry, dice)
        tried = geometry.place(changed)
        tried_height = geometry.height(tried)
        if tried_height <= height or dice.random() < 0.02:
            order, offsets, height = changed, tried, tried_height
            if height < best_height:
                best_order, best, best_height = order, offsets, height
        elif turn % _RESTART_EVERY == _RESTART_EVERY - 1:
            order, offsets, height = best_order, best, best_height
    return best


def _shuffle(
    order: list[int],
    offsets: tuple[int, ...],
    height: int,
    geometry: Geometry,
    dice: random.Random,
) -> list[int]:
    """The order with one buffer moved."""
    highest = [i for i, o in enumerate(offsets) if o + geometry.sizes[i] == height]
    moving = dice.choice(highest)
    turn = dice.randrange(order.index(moving) + 1)
    if dice.random() < 0.4 and geometry.neighbours[moving]:
        moving = dice.choice(geometry.neighbours[moving])
        turn = dice.randrange(len(order))
    changed = order.copy()
    changed.remove(moving)
    changed.insert(turn, moving)
    return changed
