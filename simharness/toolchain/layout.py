# SPDX-License-Identifier: MIT
"""Which memory holds what, and whether it fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from simharness.elf import Parsed
from simharness.errors import UsageError
from simharness.firmware import GUARD_BYTES, GUARD_SYMBOLS, Placement
from simharness.image import Memory

# Linking leaves this much room, so that what does not fit can still be measured and emulated.
_ROOM_BYTES = 64 * 1024 * 1024
_PAGE_BYTES = 1024


class ChipMemory(Protocol):
    """A memory as a chip file describes it (cycle_models.chips)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """How much of a memory a program takes; guard zones, which only emulation has, not counted."""

    memory: str
    used_bytes: int
    size_bytes: int

    @property
    def shortfall_bytes(self) -> int:
        return max(0, self.used_bytes - self.size_bytes)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a program fits the chip, memory by memory."""

    uses: tuple[MemoryUse, ...]

    @property
    def ok(self) -> bool:
        return all(u.shortfall_bytes == 0 for u in self.uses)


ROOMY = (
    Memory("FLASH", 0x0800_0000, 32 << 20, False),
    Memory("RAM", 0x2000_0000, 32 << 20, True),
)
"""A machine on which everything fits: for kernels, experiments and enlarged runs."""


def memories(chip: Iterable[ChipMemory | Memory]) -> tuple[Memory, ...]:
    """A chip's memories as an image has them; anything but flash and ROM can be written."""
    return tuple(
        m
        if isinstance(m, Memory)
        else Memory(m.name, m.origin, m.size_bytes, m.kind not in _READ_ONLY)
        for m in chip
    )


_READ_ONLY = ("flash", "rom", "xip")


def place(chip: Sequence[Memory], arena_bytes: int, rest_bytes: int, stack_bytes: int) -> Placement:
    """Choose memories in the chip's order: code in the first read-only one, then the first pair
    (arena, everything else that is written) that fits; the largest for both when none does.

    Raises UsageError when the chip has no memory to execute from or none to write.
    """
    flash = next((m for m in chip if not m.writable), None)
    writable = [m for m in chip if m.writable]
    if flash is None or not writable:
        raise UsageError("a machine needs at least one flash and one RAM")
    rest = rest_bytes + stack_bytes
    for arena in writable:
        for ram in writable:
            free = ram.size_bytes - (arena_bytes if ram is arena else 0)
            if arena_bytes <= arena.size_bytes and rest <= free:
                return Placement(flash.name, ram.name, arena.name, stack_bytes)
    largest = max(writable, key=lambda m: m.size_bytes)
    return Placement(flash.name, largest.name, largest.name, stack_bytes)


def roomy(chip: Sequence[Memory], placement: Placement) -> tuple[Memory, ...]:
    """The memories in use, each grown up to the next one in use (or by plenty)."""
    names = {placement.flash, placement.ram, placement.arena_ram}
    used = sorted((m for m in chip if m.name in names), key=lambda m: m.origin)
    ends = [*(m.origin for m in used[1:]), 1 << 32]

    def grow(memory: Memory, end: int) -> Memory:
        size = min(end - memory.origin, memory.size_bytes + _ROOM_BYTES)
        return replace(memory, name=identifier(memory.name), size_bytes=size)

    return tuple(grow(m, end) for m, end in zip(used, ends, strict=True))


def identifier(name: str) -> str:
    """A memory's name as a linker script can spell it."""
    return "m_" + re.sub(r"[^A-Za-z0-9_]", "_", name)


def measure(parsed: Parsed, chip: Sequence[Memory], placement: Placement) -> Fit:
    """What each memory holds, from the first byte to the last one used."""
    names = {placement.flash, placement.ram, placement.arena_ram}
    used = sorted((m for m in chip if m.name in names), key=lambda m: m.origin)
    extents = [
        *((s.address, s.address + len(s.data)) for s in parsed.load),
        *((a, a + n) for a, n in parsed.places.values()),
    ]
    guards = [parsed.symbols[g].address for g in GUARD_SYMBOLS]

    def use(memory: Memory) -> MemoryUse:
        owner = next((i for i, m in enumerate(used) if m.name == memory.name), None)
        if owner is None:
            return MemoryUse(memory.name, 0, memory.size_bytes)
        limit = used[owner + 1].origin if owner + 1 < len(used) else 1 << 32
        inside = range(memory.origin, limit)
        end = max((e for a, e in extents if a in inside), default=memory.origin)
        padding = GUARD_BYTES * sum(g in inside for g in guards)
        return MemoryUse(memory.name, max(0, end - memory.origin - padding), memory.size_bytes)

    return Fit(tuple(use(m) for m in chip))


def grown(chip: Sequence[Memory], fit: Fit) -> tuple[Memory, ...]:
    """The chip's memories, large enough for what was linked, guard zones included."""
    slack = GUARD_BYTES * len(GUARD_SYMBOLS)

    def size(memory: Memory, use: MemoryUse) -> int:
        needed = use.used_bytes + slack if use.used_bytes else 0
        return max(memory.size_bytes, -(-needed // _PAGE_BYTES) * _PAGE_BYTES)

    return tuple(replace(m, size_bytes=size(m, u)) for m, u in zip(chip, fit.uses, strict=True))
