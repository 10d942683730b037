# SPDX-License-Identifier: MIT
"""Which memory holds what, and whether it fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from simharness.elf import Parsed
from simharness.errors import UsageError
from simharness.firmware import (
    GUARD_BYTES,
    GUARD_PREFIX,
    GUARDS_PER_MEMORY,
    NULL_BYTES,
    Placement,
)
from simharness.image import Memory
from simharness.toolchain.placement import NOTHING_ASKED, Asked, named

# Linking leaves this much room, so that what does not fit can still be measured and emulated.
_ROOM_BYTES = 64 * 1024 * 1024
_PAGE_BYTES = 1024
_GAPS_BYTES = 64
"""Between the sections of a memory, for the sake of alignment, at most."""
_SLACK_BYTES = GUARD_BYTES * GUARDS_PER_MEMORY + _GAPS_BYTES


class ChipMemory(Protocol):
    """A memory as a chip file describes it; `alias_of` is "" unless it shows another one again."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def writable(self) -> bool: ...
    @property
    def alias_of(self) -> str: ...


class ChipLike(Protocol):
    """What a build asks of `cycle_models.chip.Chip`."""

    @property
    def memories(self) -> Sequence[ChipMemory]: ...
    @property
    def placement(self) -> Mapping[str, str]: ...


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
    Memory("flash", 0x0800_0000, 16 << 20, False),
    Memory("ram", 0x2000_0000, 16 << 20, True),
)
"""A machine on which everything fits: for kernels, experiments and benches."""


def memories(chip: ChipLike | Iterable[Memory], asked: Asked = NOTHING_ASKED) -> tuple[Memory, ...]:
    """The memories that a program may be linked into: those of the chip, and an alias of one where
    code is to run."""
    if isinstance(chip, Iterable):
        return tuple(chip)
    return tuple(
        Memory(m.name, m.origin, m.size_bytes, m.writable, m.alias_of)
        for m in chip.memories
        if not m.alias_of or m.name == asked.code
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """Where things should go, and the kinds of which a user said so: those never move."""

    placement: Placement
    fixed: frozenset[str] = frozenset()


def wish(chip: ChipLike | Iterable[Memory], asked: Asked = NOTHING_ASKED, arenas: int = 1) -> Wish:
    """What was asked for; for the rest what the chip file wants, or for bare memories the largest
    flash and the largest RAM. All of the program's arenas go to one memory unless asked otherwise.

    Raises UsageError when there is nothing to execute from or nothing to write to.
    """
    wanted = named(asked)
    default = _default(chip)
    placement = replace(default, arena=default.arena * arenas)
    return Wish(replace(placement, **wanted), frozenset(wanted))  # type: ignore[arg-type]


def _default(chip: ChipLike | Iterable[Memory]) -> Placement:
    if not isinstance(chip, Iterable):
        own = chip.placement
        return Placement(
            own["code"], own["code"], own["weights"], own["data"], (own["arena"],), own["stack"]
        )
    flash = [m for m in chip if not m.writable]
    ram = [m for m in chip if m.writable]
    if not flash or not ram:
        raise UsageError("a machine needs at least one flash and one RAM")
    code, data = _largest(flash).name, _largest(ram).name
    return Placement(code, code, code, data, (data,), data)


def fallbacks(chip: ChipLike | Iterable[Memory]) -> tuple[str, ...]:
    """RAM that may be used where the wished-for one is too small, larger ones first.

    External memory is only used on demand, and memory at address 0 (ITCM) is left to code: a
    valid object must not have the null address.
    """
    if isinstance(chip, Iterable):
        ram = [m for m in chip if m.writable and m.origin]
        return tuple(m.name for m in sorted(ram, key=lambda m: -m.size_bytes))
    own = [m for m in chip.memories if m.writable and m.origin and not m.alias_of]
    inside = [m for m in own if m.kind != "external"]
    return tuple(m.name for m in sorted(inside, key=lambda m: -m.size_bytes))


@dataclass(frozen=True, slots=True)
class Demand:
    """Bytes of a program by kind of content, one figure for each of its arenas."""

    code: int
    weights: int
    data: int
    arena: tuple[int, ...]
    stack: int


def place(chip: Sequence[Memory], wish: Wish, fallback: Sequence[str], demand: Demand) -> Placement:
    """The wish where it fits; else the first pair of fallback memories for (arena, data and stack)
    that does; else the first of them for everything. What is fixed stays, and a memory that it
    overfills by itself decides nothing about the rest."""
    movable = {"data", "arena", "stack"} - wish.fixed
    sizes = {}
    for memory in (m for m in chip if m.writable):
        parts = _parts(wish.placement, demand, memory.name)
        usable = _usable_bytes(memory, chip)
        if sum(size for kind, size in parts.items() if kind not in movable) <= usable:
            sizes[memory.name] = usable

    def moved(arena: str, data: str) -> Placement:
        p = wish.placement
        return replace(
            p,
            arena=p.arena if "arena" in wish.fixed else (arena,) * len(p.arena),
            data=p.data if "data" in wish.fixed else data,
            stack=p.stack if "stack" in wish.fixed else data,
        )

    def fits(p: Placement) -> bool:
        return all(sum(_parts(p, demand, name).values()) <= sizes[name] for name in sizes)

    if fits(wish.placement):
        return wish.placement
    for arena in fallback:
        for data in (wish.placement.data, *fallback):
            if fits(candidate := moved(arena, data)):
                return candidate
    largest = fallback[0] if fallback else wish.placement.data
    return moved(largest, largest)


def free_bytes(chip: Sequence[Memory], placed: Placement, demand: Demand) -> Mapping[str, int]:
    """What a placement leaves of each RAM, alignment allowed for."""
    free = {}
    for memory in (m for m in chip if m.writable):
        used = sum(_parts(placed, demand, memory.name).values())
        free[memory.name] = max(
            0, _usable_bytes(memory, chip) - used - (_GAPS_BYTES if used else 0)
        )
    return free


def check_room(chip: Sequence[Memory], placed: Placement, wish: Wish, demand: Demand) -> None:
    """UsageError where a user wants more in a memory than there is up to the next one in use.

    What only exceeds the memory itself can be linked, measured and reported.
    """
    for memory, after in pairwise(_in_use(chip, placed)):
        parts = _parts(placed, demand, memory.name)
        reach = min(after.origin - memory.origin, memory.size_bytes + _ROOM_BYTES)
        if sum(parts.values()) > reach and wish.fixed & parts.keys():
            listed = ", ".join(f"{kind} {size:,}" for kind, size in parts.items())
            raise UsageError(
                f"--place: {memory.name} has {memory.size_bytes:,} bytes, "
                f"{sum(parts.values()) - memory.size_bytes:,} too few for what shall lie there "
                f"({listed}): place some of it elsewhere"
            )


def _parts(placed: Placement, demand: Demand, memory: str) -> dict[str, int]:
    """The kinds that lie in a memory, with their bytes."""
    pairs = (
        ("code", placed.code, demand.code),
        ("weights", placed.weights, demand.weights),
        ("data", placed.data, demand.data),
        ("stack", placed.stack, demand.stack),
    )
    found = {kind: size for kind, name, size in pairs if name == memory and size}
    arena = sum(s for m, s in zip(placed.arena, demand.arena, strict=True) if m == memory)
    return found | ({"arena": arena} if arena else {})


def _usable_bytes(memory: Memory, chip: Sequence[Memory]) -> int:
    """Between two memories that touch there is no room for guard zones and alignment."""
    touches = any(m.origin == memory.origin + memory.size_bytes for m in chip)
    return memory.size_bytes - (_SLACK_BYTES if touches else 0)


def roomy(chip: Sequence[Memory], placement: Placement) -> tuple[Memory, ...]:
    """The memories in use, each grown up to the next one in use (or by plenty)."""
    used = _in_use(chip, placement)
    ends = [*(m.origin for m in used[1:]), 1 << 32]

    def grow(memory: Memory, end: int) -> Memory:
        free = NULL_BYTES if memory.origin == 0 and memory.name != placement.boot else 0
        size = min(end - memory.origin, memory.size_bytes + _ROOM_BYTES)
        return replace(
            memory,
            name=identifier(memory.name),
            origin=memory.origin + free,
            size_bytes=size - free,
            alias_of=memory.alias_of and identifier(memory.alias_of),
        )

    return tuple(grow(m, end) for m, end in zip(used, ends, strict=True))


def spelled(placement: Placement) -> Placement:
    """The placement in the linker script's names."""
    single = {
        name: identifier(getattr(placement, name))
        for name in ("boot", "code", "weights", "data", "stack")
    }
    return Placement(**single, arena=tuple(map(identifier, placement.arena)))


def identifier(name: str) -> str:
    """A memory's name as a linker script can spell it."""
    return "m_" + re.sub(r"[^A-Za-z0-9_]", "_", name)


def measure(parsed: Parsed, chip: Sequence[Memory], placement: Placement) -> Fit:
    """What each memory holds, from the first byte to the last one used."""
    used = _in_use(chip, placement)
    extents = [
        *((s.address, s.address + len(s.data)) for s in parsed.load),
        *((a, a + n) for a, n in parsed.places.values()),
    ]
    guards = [s.address for name, s in parsed.symbols.items() if name.startswith(GUARD_PREFIX)]

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
    """The chip's memories, large enough for what was linked, guard zones included.

    A memory that would then cover its neighbour takes the neighbour's place.
    """
    slack = GUARD_BYTES * GUARDS_PER_MEMORY
    result: list[Memory] = []
    for memory, use in sorted(zip(chip, fit.uses, strict=True), key=lambda p: p[0].origin):
        if result and memory.origin < result[-1].origin + result[-1].size_bytes:
            continue
        needed = use.used_bytes + slack if use.used_bytes else 0
        size = max(memory.size_bytes, -(-needed // _PAGE_BYTES) * _PAGE_BYTES)
        result.append(replace(memory, size_bytes=size))
    return tuple(result)


def _in_use(chip: Sequence[Memory], placement: Placement) -> list[Memory]:
    names = placement.names()
    return sorted((m for m in chip if m.name in names), key=lambda m: m.origin)


def _largest(memories: Sequence[Memory]) -> Memory:
    return max(memories, key=lambda m: m.size_bytes)
