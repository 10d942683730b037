# SPDX-License-Identifier: MIT
"""The form of fast variants: one function plans a layer, and all else follows from its plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Overlap
from codegen.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a variant runs one layer. `write` makes the C; what it needs was decided before.

    `extra_instructions`: about how many more than the fastest use of the same C. `held_bytes` of
    the scratch are a copy of weights.
    """

    write: Callable[[], Call]
    scratch_bytes: int = 0
    overlaps: tuple[Overlap, ...] = ()
    extra_instructions: int = 0
    held_bytes: int = 0


_KEPT = 512


@dataclass(frozen=True, slots=True)
class Planned:
    """A `Variant` made of a planner: it returns None for nodes that the variant does not take."""

    name: str
    make: Callable[[Node, Graph, Target], Plan | None]
    plans: dict[tuple[int, Target], tuple[Node, Graph, Plan | None]]
    manner: str = ""

    def plan(self, node: Node, graph: Graph, target: Target) -> Plan | None:
        """The plan, made once per node, as proofs take milliseconds. Kept nodes keep their ids."""
        key = (id(node), target)
        known = self.plans.get(key)
        if known is None or known[0] is not node or known[1] is not graph:
            if len(self.plans) >= _KEPT:
                self.plans.clear()
            known = self.plans[key] = (node, graph, self.make(node, graph, target))
        return known[2]

    def _planned(self, node: Node, graph: Graph, target: Target) -> Plan:
        plan = self.plan(node, graph, target)
        if plan is None:
            raise ValueError(f"{self.name} does not take {node.name}")
        return plan

    def accepts(self, node: Node, graph: Graph, target: Target) -> bool:
        return self.plan(node, graph, target) is not None

    def scratch_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return self._planned(node, graph, target).scratch_bytes

    def overlaps(self, node: Node, graph: Graph, target: Target) -> tuple[Overlap, ...]:
        return self._planned(node, graph, target).overlaps

    def extra_instructions(self, node: Node, graph: Graph, target: Target) -> int:
        return self._planned(node, graph, target).extra_instructions

    def held_bytes(self, node: Node, graph: Graph, target: Target) -> int:
        return self._planned(node, graph, target).held_bytes

    def emit(self, node: Node, graph: Graph, target: Target) -> Call:
        return self._planned(node, graph, target).write()


def planned(
    name: str, make: Callable[[Node, Graph, Target], Plan | None], manner: str = ""
) -> Planned:
    """A variant with its own memory of plans."""
    return Planned(name, make, {}, manner)
