# SPDX-License-Identifier: MIT
"""Where a program calls given functions."""

from __future__ import annotations

from simharness import elf
from simharness.image import Image


def return_addresses(image: Image, entries: frozenset[int]) -> list[int]:
    """Where calls (BL) of the functions at `entries` return to, sorted."""
    found = set()
    for segment in elf.thumb_code(image.elf):
        at, data = 0, segment.data
        while at + 4 <= len(data):
            first = int.from_bytes(data[at : at + 2], "little")
            second = int.from_bytes(data[at + 2 : at + 4], "little")
            here = segment.address + at + 4
            is_bl = first >> 11 == 0x1E and second >> 14 == 3 and second >> 12 & 1
            if is_bl and (here + _branch_offset(first, second)) & 0xFFFF_FFFF in entries:
                found.add(here)
            at += 4 if first >> 11 >= 0x1D else 2
    return sorted(found)


def _branch_offset(first: int, second: int) -> int:
    """The offset of a BL, encoding T1 (ARMv6-M ARM, A6.7.13)."""
    s, j1, j2 = first >> 10 & 1, second >> 13 & 1, second >> 11 & 1
    i1, i2 = 1 ^ j1 ^ s, 1 ^ j2 ^ s
    value = (i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1) - (s << 24)
    return value
