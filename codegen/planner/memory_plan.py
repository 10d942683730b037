# SPDX-License-Identifier: MIT
"""The memory plan of a program: where every tensor and every scratch lies, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the bytes of `tensor` are from step `first` to step `last`.

    `memory` is "arena" ("arena_NAME" where the arena lies in several memories), or "input0",
    "output0"... for a pointer that the caller gives. `alias`
    names the tensor whose bytes these are (a view, or an operator that works in place), "" when
    they are its own. The scratch of a step is a record of its own, `scratch` true and `tensor` the
    node's name.
    """

    tensor: str
    offset: int
    size_bytes: int
    first: int
    last: int
    memory: str = "arena"
    alias: str = ""
    scratch: bool = False


@dataclass(frozen=True, slots=True)
class BankUse:
    """One of the memories that an arena is spread over: `memory` as in `Placed`, what is used of
    it and what there is."""

    memory: str
    name: str
    used_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """All records in order of birth.

    `proven`: no arena is smaller for this order and these aliases. `lower_bound_bytes` is the
    largest sum of bytes that any step needs; `scratch_bytes` the largest scratch, which is part of
    the arena. `elided` are the nodes that need no code: views, joins and cuts. `banks` are the
    memories of an arena in several, which `arena_bytes` adds up; `worth_gap` is then how much
    better at most the best use of the preferred memories could be, as a fraction.
    """

    records: tuple[Placed, ...]
    arena_bytes: int
    lower_bound_bytes: int
    strategy: str
    proven: bool
    scratch_bytes: int = 0
    elided: frozenset[int] = frozenset()
    banks: tuple[BankUse, ...] = ()
    worth_gap: float = 0.0

    @property
    def gap(self) -> float:
        """How far above the lower bound the arena is, as a fraction."""
        low = self.lower_bound_bytes
        return (self.arena_bytes - low) / low if low else 0.0

    @property
    def tensors(self) -> Mapping[str, Placed]:
        """The record of each tensor."""
        return {r.tensor: r for r in self.records if not r.scratch}

    @property
    def offsets(self) -> Mapping[str, int]:
        """The offset of each tensor in its memory."""
        return {r.tensor: r.offset for r in self.records if not r.scratch}

    @property
    def aliases(self) -> Mapping[str, str]:
        """The tensors that are other tensors' bytes, and whose."""
        return {r.tensor: r.alias for r in self.records if r.alias}
