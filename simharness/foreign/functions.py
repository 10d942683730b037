# SPDX-License-Identifier: MIT
"""A measured window by function: own cycles, and with callees, with or without symbols."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from cycle_models.core import Core
from cycle_models.decode import Decoder
from cycle_models.profile import Block, CodeImage, Edge, Profile
from cycle_models.timing import Interval, time_profiles
from simharness.image import Symbol


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the window. `cycles` are its own, at zero wait states; `inclusive_cycles`
    count its callees too, shared out by number of calls. `callees` are (name, calls).
    """

    name: str
    address: int
    calls: int
    instructions: int
    cycles: Interval
    inclusive_cycles: float
    callees: tuple[tuple[str, int], ...]


def by_function(
    window: Profile, code: CodeImage, core: Core, symbols: Sequence[Symbol]
) -> tuple[Function, ...]:
    """The functions of `window`, the most costly first.

    Without symbols a function starts where a call leads, and is named after its address.
    """
    decoder = Decoder(code)
    last = {b.address: decoder.block(b.address, b.size_bytes)[-1] for b in window.blocks}
    calls = [
        e for e in window.edges
        if e.source in last and e.target in last
        and (last[e.source].kind == "call" or last[e.source].name == "blx")
    ]  # fmt: skip
    names = {s.address: s.name for s in symbols}
    if not names:
        starts = {e.target for e in calls} | {min(last, default=0)}
        names = {a: f"sub_{a:08x}" for a in starts}
    addresses = sorted(names)

    def owner(address: int) -> int:
        return addresses[max(0, bisect_right(addresses, address) - 1)]

    blocks: dict[int, list[Block]] = {}
    edges: dict[int, list[Edge]] = {}
    for b in window.blocks:
        blocks.setdefault(owner(b.address), []).append(b)
    for e in window.edges:
        edges.setdefault(owner(e.source), []).append(e)
    profiles = [
        Profile(names[a], tuple(found), tuple(edges.get(a, ()))) for a, found in blocks.items()
    ]
    timed = time_profiles(profiles, code, core).profiles
    own = dict(zip(blocks, timed, strict=True))
    called: dict[int, dict[int, int]] = {}
    total: dict[int, int] = {}
    for e in calls:
        caller, callee = owner(e.source), owner(e.target)
        called.setdefault(caller, {})[callee] = called.get(caller, {}).get(callee, 0) + e.count
        total[callee] = total.get(callee, 0) + e.count

    def inclusive(address: int, above: frozenset[int]) -> float:
        cycles = own[address].cycles.mid if address in own else 0.0
        for callee, n in called.get(address, {}).items():
            if callee not in above:
                cycles += inclusive(callee, above | {callee}) * n / total[callee]
        return cycles

    found = [
        Function(
            name=names[a],
            address=a,
            calls=total.get(a, 0),
            instructions=t.instructions,
            cycles=t.cycles,
            inclusive_cycles=inclusive(a, frozenset({a})),
            callees=tuple((names[c], n) for c, n in sorted(called.get(a, {}).items())),
        )
        for a, t in own.items()
    ]
    return tuple(sorted(found, key=lambda f: (-f.cycles.mid, f.address)))
