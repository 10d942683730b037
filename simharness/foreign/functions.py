# SPDX-License-Identifier: MIT
"""A measured window by function: own cost, and with callees, with or without symbols."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cycle_models.core import Core
from cycle_models.decode import Decoder
from cycle_models.memory import MemorySystem, Totals, added, stalls_of
from cycle_models.profile import Block, CodeImage, Edge, Profile
from cycle_models.timing import Interval, MemoryStalls, ProfileTiming, time_profiles
from simharness.image import Symbol


@dataclass(frozen=True, slots=True)
class Cost:
    """Mid values: cycles, those among them that a memory took, and energy."""

    cycles: float
    fetch_stalls: float
    data_stalls: float
    external: float
    energy_uj: float


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the window. `cycles`, `breakdown` (mid, by part) and `energy_uj` are its own;
    `inclusive` counts its callees too, shared out by number of calls. `callees` are (name, calls).
    """

    name: str
    address: int
    calls: int
    instructions: int
    cycles: Interval
    breakdown: Mapping[str, float]
    energy_uj: float
    inclusive: Cost
    callees: tuple[tuple[str, int], ...]


def by_function(
    window: Profile,
    code: CodeImage,
    core: Core,
    symbols: Sequence[Symbol],
    *,
    system: MemorySystem,
    paid: Mapping[int, Totals] | None,
    energy_uj: Callable[[ProfileTiming], float],
) -> tuple[Function, ...]:
    """The functions of `window`, the most costly first.

    `paid` is what memories cost by block address; None leaves stalls out. Without symbols a
    function starts where a call leads, and is named after its address. `energy_uj` tells what a
    function's own time took.
    """
    calls = _calls(window, code)
    names = _names(window, calls, symbols)
    addresses = sorted(names)

    def owner(address: int) -> int:
        return addresses[max(0, bisect_right(addresses, address) - 1)]

    own = _timed(window, code, core, owner, system, paid)
    tree = _Tree({a: _cost(t, energy_uj(t)) for a, t in own.items()})
    for e in calls:
        tree.add(owner(e.source), owner(e.target), e.count)
    found = [
        Function(
            name=names[a],
            address=a,
            calls=tree.total.get(a, 0),
            instructions=t.instructions,
            cycles=t.cycles,
            breakdown={str(part): cycles for part, cycles in t.breakdown.items()},
            energy_uj=tree.own[a].energy_uj,
            inclusive=tree.inclusive(a, frozenset({a})),
            callees=tuple((names[c], n) for c, n in sorted(tree.called.get(a, {}).items())),
        )
        for a, t in own.items()
    ]
    return tuple(sorted(found, key=lambda f: (-f.cycles.mid, f.address)))


def _calls(window: Profile, code: CodeImage) -> list[Edge]:
    """The edges of the window that are calls."""
    decoder = Decoder(code)
    last = {b.address: decoder.block(b.address, b.size_bytes)[-1] for b in window.blocks}
    return [
        e for e in window.edges
        if e.source in last and e.target in last
        and (last[e.source].kind == "call" or last[e.source].name == "blx")
    ]  # fmt: skip


def _names(window: Profile, calls: Sequence[Edge], symbols: Sequence[Symbol]) -> dict[int, str]:
    names = {s.address: s.name for s in symbols}
    if names:
        return names
    first = min((b.address for b in window.blocks), default=0)
    return {a: f"sub_{a:08x}" for a in {e.target for e in calls} | {first}}


def _timed(
    window: Profile,
    code: CodeImage,
    core: Core,
    owner: Callable[[int], int],
    system: MemorySystem,
    paid: Mapping[int, Totals] | None,
) -> dict[int, ProfileTiming]:
    """The time of each function by its address."""
    blocks: dict[int, list[Block]] = {}
    edges: dict[int, list[Edge]] = {}
    for b in window.blocks:
        blocks.setdefault(owner(b.address), []).append(b)
    for e in window.edges:
        edges.setdefault(owner(e.source), []).append(e)
    profiles = [
        Profile(str(a), tuple(found), tuple(edges.get(a, ()))) for a, found in blocks.items()
    ]
    stalls: dict[str, MemoryStalls] | None = None
    if paid is not None:
        stalls = {
            str(a): stalls_of(
                system, added(paid[b] for b in {b.address for b in found} & set(paid))
            )
            for a, found in blocks.items()
        }
    timed = time_profiles(profiles, code, core, memory=stalls).profiles
    return dict(zip(blocks, timed, strict=True))


def _cost(t: ProfileTiming, energy_uj: float) -> Cost:
    parts = t.breakdown
    return Cost(
        cycles=t.cycles.mid,
        fetch_stalls=parts["fetch_stalls"],
        data_stalls=parts["data_stalls"],
        external=parts["external"],
        energy_uj=energy_uj,
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """Who called whom how often: `called` by caller, `total` by callee."""

    own: Mapping[int, Cost]
    called: dict[int, dict[int, int]] = field(default_factory=dict)
    total: dict[int, int] = field(default_factory=dict)

    def add(self, caller: int, callee: int, count: int) -> None:
        mine = self.called.setdefault(caller, {})
        mine[callee] = mine.get(callee, 0) + count
        self.total[callee] = self.total.get(callee, 0) + count

    def inclusive(self, address: int, above: frozenset[int]) -> Cost:
        """The cost of a function with its callees; recursion counts once."""
        total = self.own.get(address, _NOTHING)
        for callee, n in self.called.get(address, {}).items():
            if callee not in above:
                below = self.inclusive(callee, above | {callee})
                total = _plus(total, below, n / self.total[callee])
        return total


_NOTHING = Cost(0.0, 0.0, 0.0, 0.0, 0.0)


def _plus(a: Cost, b: Cost, share: float) -> Cost:
    return Cost(
        cycles=a.cycles + share * b.cycles,
        fetch_stalls=a.fetch_stalls + share * b.fetch_stalls,
        data_stalls=a.data_stalls + share * b.data_stalls,
        external=a.external + share * b.external,
        energy_uj=a.energy_uj + share * b.energy_uj,
    )
