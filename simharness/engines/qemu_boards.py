# SPDX-License-Identifier: MIT
"""QEMU's machines: which stands in for which core, and where a chip's memories go in it.

A chip's image runs on QEMU with everything at the offsets that it has on the chip; only the origins
of the memories differ, by multiples of 64 KiB, which no cache can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cycle_models.chip import Chip
from simharness.errors import UsageError
from simharness.firmware import Placement
from simharness.image import Memory

_KIB, _MEGA = 1 << 10, 1 << 20
_STEP = 64 * _KIB


@dataclass(frozen=True, slots=True)
class Board:
    """A QEMU machine: what it is called and where its memories are."""

    machine: str
    memories: tuple[Memory, ...]


_MPS2 = (
    Memory("FLASH", 0x0000_0000, 4 * _MEGA, writable=False),
    Memory("RAM", 0x2000_0000, 4 * _MEGA, writable=True),
)
_BOARDS = {
    "m0": Board("microbit", (
        Memory("FLASH", 0, 256 << 10, writable=False),
        Memory("RAM", 0x2000_0000, 16 << 10, writable=True),
    )),
    "m3": Board("mps2-an385", _MPS2),
    "m4": Board("mps2-an386", _MPS2),
    "m7": Board("mps2-an500", _MPS2),
    "m33": Board("mps2-an505", (
        Memory("FLASH", 0x1000_0000, 4 * _MEGA, writable=False),
        Memory("RAM", 0x3800_0000, 4 * _MEGA, writable=True),
    )),
}  # fmt: skip


def board(core: str, *, small: bool = False) -> Board:
    """The board for a core.

    ARMv6-M code runs on the M3 board, whose memory holds real networks and whose instruction set
    contains it, unless `small` asks for the Cortex-M0 of the micro:bit (16 KiB RAM), which faults
    on anything that ARMv6-M lacks.
    """
    if core == "m0plus":
        return _BOARDS["m0" if small else "m3"]
    return _BOARDS[core]


def moved(chip: Chip, placement: Placement, where: Board) -> Chip:
    """The chip with the memories that a placed program uses, where the board has memory.

    Raises UsageError when the board lacks the room.
    """
    used = sorted(
        (m for m in chip.memories if m.name in placement.names()),
        key=lambda m: (m.name != placement.boot, m.origin),
    )
    if mirror := next((m.name for m in used if m.alias_of), ""):
        raise UsageError(
            f"QEMU's {where.machine} shows no memory twice, so nothing can lie in {mirror} of "
            f"{chip.name}: use --engine unicorn or renode"
        )
    # What boots goes where the board starts to execute; the rest to RAM first.
    flash, *ram = where.memories
    free = {m.origin: m.origin for m in (*ram, flash)}
    ends = {m.origin: m.origin + m.size_bytes for m in where.memories}
    origins: dict[str, int] = {}
    for memory in used:
        areas = [flash.origin] if memory.name == placement.boot else list(free)
        area = next((a for a in areas if free[a] + memory.size_bytes <= ends[a]), None)
        if area is None:
            has = ", ".join(
                f"{m.size_bytes // _KIB} KiB at {m.origin:#010x}" for m in where.memories
            )
            raise UsageError(
                f"QEMU's {where.machine} has {has}: no place for {memory.name} of {chip.name} "
                f"({memory.size_bytes // _KIB} KiB) beside what else the program uses; "
                "use --engine unicorn or renode, or QEMU's own memories: --timing zero-wait, "
                "no --place"
            )
        origins[memory.name] = free[area]
        free[area] = -(-(free[area] + memory.size_bytes) // _STEP) * _STEP
    roles = {  # what was asked for by name comes on top
        "code": placement.boot, "weights": placement.weights, "data": placement.data,
        "arena": placement.arena[0], "stack": placement.stack,
    }  # fmt: skip
    return replace(relocated(chip, origins), placement=roles)


def relocated(chip: Chip, origins: Mapping[str, int]) -> Chip:
    """The chip with only the memories in `origins`, there, and only what is known of those."""
    memories = tuple(replace(m, origin=origins[m.name]) for m in chip.memories if m.name in origins)
    regions = {
        n: t for n, t in chip.table.get("region", {}).items() if "origin" in t or n in origins
    }
    return replace(chip, memories=memories, table={**chip.table, "region": regions})


def holds(where: Board, memories: Sequence[Memory]) -> bool:
    """Whether the board has memory wherever an image expects it."""
    return all(
        any(
            a.origin <= m.origin and m.origin + m.size_bytes <= a.origin + a.size_bytes
            for a in where.memories
        )
        for m in memories
    )
