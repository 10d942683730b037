# SPDX-License-Identifier: MIT
"""How many Thumb instructions a block has.

Instructions of an IT block whose condition fails are included: they are fetched, issued and take
a cycle, so the count of a block is the base of its cost, whatever the flags were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cycle_models.profile import CodeImage, Profile, Segment


def instructions(code: bytes) -> int:
    """Instructions in `code`; the first halfword of each tells whether it has a second."""
    count = at = 0
    while at < len(code):
        at += 4 if code[at + 1] >> 3 >= 0x1D else 2
        count += 1
    return count


def executed(profiles: Iterable[Profile], code: CodeImage) -> int:
    """Instructions executed in all blocks of `profiles`. KeyError for a block not in `code`."""
    lengths: dict[tuple[int, int], int] = {}
    total = 0
    for profile in profiles:
        for block in profile.blocks:
            place = block.address, block.size_bytes
            if place not in lengths:
                lengths[place] = instructions(code.read(*place))
            total += lengths[place] * block.count
    return total


def aligned_accesses(code: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    """Address and base register of each instruction that faults on an unaligned address on every
    core: LDM, STM, LDRD, STRD, VLDR, VSTR, VLDM, VSTM (ARMv7-M ARM, A3.2.1).

    Their offsets are multiples of 4, so only the base matters; SP and PC are always aligned.
    """
    for segment in code:
        data, at = segment.data, 0
        while at + 2 <= len(data):
            first = int.from_bytes(data[at : at + 2], "little")
            wide = first >> 11 >= 0x1D
            second = int.from_bytes(data[at + 2 : at + 4], "little") if wide else 0
            base = _aligned_base(first, second) if wide else _aligned_base_narrow(first)
            if base is not None and base < 13:
                yield segment.address + at, base
            at += 4 if wide else 2


def _aligned_base_narrow(half: int) -> int | None:
    return half >> 8 & 7 if half & 0xF000 == 0xC000 else None


def _aligned_base(first: int, second: int) -> int | None:
    multiple = first & 0xFE40 == 0xE800
    double = first & 0xFE40 == 0xE840 and first & 0x0120 != 0
    floating = first & 0xFE00 == 0xEC00 and second & 0x0E00 == 0x0A00 and first & 0xFFE0 != 0xEC40
    return first & 15 if multiple or double or floating else None
