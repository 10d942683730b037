# SPDX-License-Identifier: MIT
"""One door to all strategies: `plan` packs buffers and says how far from the bound it stayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from codegen.errors import PlanError
from codegen.errors import Problem as Complaint
from codegen.planner.buffers import Buffer, Geometry, Overlay, Packing, Problem, lower_bound
from codegen.planner.exact import NODES, exact
from codegen.planner.first_fit import first_fit
from codegen.planner.greedy import greedy_by_size, greedy_in_every_order
from codegen.planner.improve import improve

Strategy = Literal["auto", "first_fit", "greedy_by_size", "exact"]


def plan(
    buffers: Sequence[Buffer],
    overlays: Sequence[Overlay] = (),
    *,
    strategy: Strategy = "auto",
    nodes: int = NODES,
) -> Packing:
    """Pack `buffers`; `overlays` are the pairs that may share memory.

    "auto" takes the lowest of all strategies, and searches only when none reached the lower bound;
    `nodes` limits the exact search, in search nodes.
    """
    problem = Problem(tuple(buffers), tuple(overlays))
    bound = lower_bound(problem)
    match strategy:
        case "first_fit":
            offsets, proven, used = first_fit(problem), False, "first_fit"
        case "greedy_by_size":
            offsets, proven, used = greedy_by_size(problem), False, "greedy_by_size"
        case "exact" | "auto":
            offsets, proven, used = _best(problem, nodes)
        case _:
            known = ", ".join(get_args(Strategy))
            raise PlanError(Complaint(f"unknown strategy {strategy!r}", "planner", f"use {known}"))
    height = Geometry(problem).height(offsets)
    return Packing(offsets, height, bound, used, proven or height == bound)


def _best(problem: Problem, nodes: int) -> tuple[tuple[int, ...], bool, str]:
    """The lowest packing of all, whether proven, and whose it is."""
    geometry = Geometry(problem)
    tries = {
        "greedy_by_size": greedy_by_size(problem),
        "first_fit": first_fit(problem),
        "greedy": greedy_in_every_order(problem),
    }
    used = min(tries, key=lambda name: geometry.height(tries[name]))
    offsets = tries[used]
    improved = improve(problem, offsets)
    if geometry.height(improved) < geometry.height(offsets):
        used, offsets = "local_search", improved
    searched, proven = exact(problem, offsets, nodes)
    if geometry.height(searched) < geometry.height(offsets):
        used, offsets = "exact", searched
    return offsets, proven, used
