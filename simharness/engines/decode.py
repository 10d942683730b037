# SPDX-License-Identifier: MIT
"""How many Thumb instructions a block has.

Instructions of an IT block whose condition fails are included: they are fetched, issued and take
a cycle, so the count of a block is the base of its cost, whatever the flags were.
"""

from __future__ import annotations

from collections.abc import Iterable

from cycle_models.profile import CodeImage, Profile


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
