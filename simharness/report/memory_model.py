# SPDX-License-Identifier: MIT
"""The report's values about memory: does it fit, what lies where, who touched what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """One memory of the board; `shortfall_bytes` is what is used beyond what is available."""

    name: str
    used_bytes: Count
    available_bytes: Count
    shortfall_bytes: Count


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether the program fits the board; `enlarged`: it ran on memories larger than those."""

    ok: bool
    memories: tuple[MemoryFit, ...]
    enlarged: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Which of the board's memories holds what. `boot` has the vectors, the start-up code and the
    first values of what is copied to RAM."""

    boot: str
    code: str
    weights: str
    data: str
    arena: str
    stack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the program takes, the firmware around the model included.

    `flash_bytes` is everything that is loaded; `text_bytes` code; `weights_bytes` the model's const
    tables; `arena_bytes` activations and scratch together, `scratch_bytes` the largest scratch in
    it, `held_weights_bytes` the most of it that is a copy of weights (`--optimize speed`);
    `stack_bytes` the high-water mark of one run; `sections` is the ELF's own account.
    """

    flash_bytes: Count
    text_bytes: Count
    weights_bytes: Count
    arena_bytes: Count
    scratch_bytes: Count
    held_weights_bytes: Count = 0
    stack_bytes: Count | None = None
    sections: Mapping[str, Count]


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor (or the scratch of a layer) at `offset` of `memory` during layers `first` to `last`.

    `memory` is "arena" ("arena_NAME" in each of several memories), or "input0", "output0"... for
    memory that the caller gives. `alias` names the tensor whose bytes these are.
    """

    tensor: str
    memory: str
    offset: Count
    size_bytes: Count
    first: int
    last: int
    alias: str = ""
    scratch: bool = False

    @property
    def in_arena(self) -> bool:
        """Whether these are bytes of the program's own."""
        return self.memory.startswith("arena")


@dataclass(frozen=True, slots=True)
class Bank:
    """A memory of the board that holds a part of the arena: `memory` as in `Placed`."""

    memory: str
    name: str
    used_bytes: Count
    available_bytes: Count


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that is not the fastest, chosen to save memory: another kernel, or patches.

    `extra_macs` is what patches compute twice; `extra_instructions` the generator's estimate of all
    that the choice costs, by which it ranks programs.
    """

    what: Literal["kernel", "patches"]
    where: str
    detail: str
    extra_macs: int
    extra_instructions: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """A program that was planned on the way to --ram-limit; costs as in `Choice`."""

    detail: str
    arena_bytes: Count
    extra_macs: int
    extra_instructions: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The memory plan. `proven`: no arena is smaller for this order of layers.

    `banks`, where the arena lies in several memories, are these, the preferred one first; by
    `worth_gap` at most, as a fraction, could they be used better.
    `fused_adds` names the convolutions that also do the addition after them, in place. `views` are
    nodes that need no code (joins, cuts, other shapes); `in_place` and `overlapped` tensors that
    layers write where their input begins, and elsewhere over it; `reordered`: branches run in
    another order than the file's, for a smaller peak.
    """

    strategy: str
    arena_bytes: Count
    lower_bound_bytes: Count
    proven: bool
    records: tuple[Placed, ...]
    choices: tuple[Choice, ...] = ()
    banks: tuple[Bank, ...] = ()
    worth_gap: Fraction = 0.0
    fused_adds: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    views: tuple[str, ...] = ()
    in_place: tuple[str, ...] = ()
    overlapped: tuple[str, ...] = ()
    reordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A layer's access to memory that is not its own, once per cause.

    `what` is the verb of the sentence; `tensor` and `offset` the byte that was meant (the nearest
    tensor of the layer when none was); `holds` what the byte held; `count` how many bytes.
    """

    layer: str
    what: str
    tensor: str
    offset: int
    address: Count
    symbol: str
    pc: Count
    count: Count
    holds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchUse:
    """Scratch that a layer was given, and how far into it an access reached."""

    layer: str
    asked_bytes: Count
    used_bytes: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitizer:
    """What a watched run found. `untouched_bytes` were planned for tensors and never accessed."""

    ok: bool
    violations: tuple[Violation, ...]
    planned_bytes: Count
    untouched_bytes: Count
    scratch: tuple[ScratchUse, ...]
