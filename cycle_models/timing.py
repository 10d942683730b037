# SPDX-License-Identifier: MIT
"""From counted blocks and edges to cycles: intervals, a breakdown, what rests on assumptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cycle_models.bill import Bill
from cycle_models.core import PARTS, Core, Part, Rule
from cycle_models.decode import Decoder, Instruction, words
from cycle_models.profile import Block, CodeImage, Profile
from cycle_models.scoreboard import ScoreboardPipeline
from cycle_models.single import SinglePipeline

Mode = Literal["zero-wait", "memory"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A modelled figure: believed to lie in `low`..`high`, most likely `mid`."""

    low: float
    mid: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.mid + other.mid, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill: a rule, how often it applied, and the cycles it cost (mid value)."""

    rule: str
    part: Part
    times: int
    cycles: float
    status: str


@dataclass(frozen=True, slots=True)
class ProfileTiming:
    """The time of one profile. `breakdown` holds mid cycles per part; `mix` counts instructions
    per class.

    `assumed_share` is the share of cycles, 0..1, that rests on rules of status "assumed".
    """

    name: str
    cycles: Interval
    breakdown: Mapping[Part, float]
    assumed_share: float
    instructions: int
    mix: Mapping[str, int]
    charges: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of several profiles on one core. `mode` names what was modelled."""

    mode: Mode
    core: str
    profiles: tuple[ProfileTiming, ...]
    total: ProfileTiming


@dataclass(frozen=True, slots=True)
class MemoryStalls:
    """Stall cycles that a memory simulation found for one profile (the memory mode's input)."""

    fetch: Interval
    data: Interval
    external: Interval
    assumed_share: float = 0.0
    unaligned: int = 0


class _Pipeline(Protocol):
    def start(self) -> Any: ...
    def after_taken(self, state: Any) -> Any: ...
    def walk(self, block: Sequence[Instruction], entry: Any) -> tuple[Bill, Any]: ...
    def edge(
        self, block: Sequence[Instruction], taken: bool, target: Instruction | None
    ) -> Bill: ...
    def mispredicted(self, block: Sequence[Instruction], ways: Sequence[int]) -> Bill: ...


def time_profiles(
    profiles: Iterable[Profile],
    code: CodeImage,
    core: Core,
    *,
    memory: Mapping[str, MemoryStalls] | None = None,
) -> Timing:
    """Cycles of each profile on `core`.

    Without `memory` every memory answers in zero wait states (mode "zero-wait"). With it, the
    stalls of each profile (by name) are added (mode "memory"). Raises KeyError when a block lies
    outside `code`.
    """
    run = _Run(code, core)
    timed = tuple(run.profile(p, None if memory is None else memory.get(p.name)) for p in profiles)
    return Timing(
        mode="zero-wait" if memory is None else "memory",
        core=core.name,
        profiles=timed,
        total=_total(timed),
    )


def block_cost(code: CodeImage, core: Core) -> Callable[[int, int], tuple[float, int]]:
    """A function that prices a block: zero-wait cycles with its usual exit, and data accesses.

    Without knowing where a run comes from and goes to, this is an estimate, good enough for the
    clock of a memory simulation and never added up into a result.
    """
    decoder = Decoder(code)
    pipeline = pipeline_of(core)

    def cost(address: int, size: int) -> tuple[float, int]:
        block = decoder.block(address, size)
        bill = dict(pipeline.walk(block, pipeline.start())[0])
        for rule, times in pipeline.edge(block, True, None):
            bill[rule] = bill.get(rule, 0) + times
        cycles = sum(core.rules[rule].cycles * times for rule, times in bill.items())
        accesses = sum(max(1, i.transfers) for i in block if i.kind in _MEMORY_KINDS)
        return max(cycles, 0.0), accesses

    return cost


def pipeline_of(core: Core) -> _Pipeline:
    """The interpreter that a core's file asks for."""
    return ScoreboardPipeline(core) if core.pipeline == "scoreboard" else SinglePipeline(core)


class _Run:
    """Memo of one call: decoded blocks and walks."""

    def __init__(self, code: CodeImage, core: Core) -> None:
        self._core = core
        self._decoder = Decoder(code)
        self._pipeline = pipeline_of(core)
        self._walks: dict[tuple[int, int, Any], tuple[Bill, Any]] = {}

    def _block(self, b: Block) -> tuple[Instruction, ...]:
        return self._decoder.block(b.address, b.size_bytes)

    def _walk(self, b: Block, entry: Any) -> tuple[Bill, Any]:
        key = (b.address, b.size_bytes, entry)
        if key not in self._walks:
            self._walks[key] = self._pipeline.walk(self._block(b), entry)
        return self._walks[key]

    def profile(self, p: Profile, stalls: MemoryStalls | None) -> ProfileTiming:
        counts: dict[str, int] = {}
        entered: dict[tuple[int, Any], int] = {}
        by_address = {b.address: b for b in p.blocks}
        left = {b.address: b.count for b in p.blocks}
        start = self._pipeline.start()
        exits = self._exit_states(p, by_address)
        inward: dict[int, int] = {}
        ways: dict[int, list[int]] = {}
        for e in p.edges:
            source, target = by_address.get(e.source), by_address.get(e.target)
            if source is not None:
                first = self._block(target)[0] if target is not None else None
                _charge(
                    counts,
                    self._pipeline.edge(
                        self._block(source), _taken(self._block(source), e.target), first
                    ),
                    e.count,
                )
                left[source.address] -= e.count
                ways.setdefault(source.address, []).append(e.count)
            if target is not None:
                entry = start
                if source is not None:
                    entry = exits[source.address]
                    if _taken(self._block(source), e.target):
                        entry = self._pipeline.after_taken(entry)
                entered[target.address, entry] = entered.get((target.address, entry), 0) + e.count
                inward[target.address] = inward.get(target.address, 0) + e.count
        for address, counted in ways.items():
            _charge(
                counts, self._pipeline.mispredicted(self._block(by_address[address]), counted), 1
            )
        instructions = 0
        mix: dict[str, int] = {}
        for b in p.blocks:
            rest = b.count - inward.get(b.address, 0)
            if rest > 0:
                entered[b.address, start] = entered.get((b.address, start), 0) + rest
            block = self._block(b)
            if left[b.address] > 0 and block[-1].is_branch:
                _charge(counts, self._pipeline.edge(block, True, None), left[b.address])
            instructions += len(block) * b.count
            for i in block:
                name = MIX.get(i.kind, "other") if not i.fp or i.kind in _MEMORY_KINDS else "fp"
                mix[name] = mix.get(name, 0) + b.count
        for (address, entry), times in sorted(entered.items(), key=lambda item: item[0][0]):
            _charge(counts, self._walk(by_address[address], entry)[0], times)
        if stalls is not None and "unaligned_access" in self._core.rules:
            counts["unaligned_access"] = stalls.unaligned
        return _timing(p.name, counts, self._core, instructions, mix, stalls)

    def _exit_states(self, p: Profile, by_address: Mapping[int, Block]) -> dict[int, Any]:
        """The state each block leaves when entered as it mostly is: two rounds settle short
        blocks.
        """
        start = self._pipeline.start()
        exits = {b.address: self._walk(b, start)[1] for b in p.blocks}
        main: dict[int, tuple[int, int]] = {}
        for e in p.edges:
            if (
                e.target in by_address
                and e.source in by_address
                and e.count > main.get(e.target, (0, 0))[0]
            ):
                main[e.target] = (e.count, e.source)
        settled = {}
        for b in p.blocks:
            entry = start
            if b.address in main:
                source = by_address[main[b.address][1]]
                entry = exits[source.address]
                if _taken(self._block(source), b.address):
                    entry = self._pipeline.after_taken(entry)
            settled[b.address] = self._walk(b, entry)[1]
        return settled


_MEMORY_KINDS = words("load store load_double store_double load_multiple store_multiple")
MIX = {
    **dict.fromkeys(
        ("alu", "shift", "bitfield", "extend", "extend_add", "saturate", "simd", "it", "nop"), "alu"
    ),
    **dict.fromkeys(("multiply", "accumulate", "long_multiply", "long_accumulate"), "multiply"),
    "divide": "divide",
    **dict.fromkeys(("load", "load_double", "load_multiple", "preload"), "load"),
    **dict.fromkeys(("store", "store_double", "store_multiple"), "store"),
    **dict.fromkeys(("branch", "compare_branch", "call", "indirect", "table"), "branch"),
}


def _taken(block: Sequence[Instruction], target: int) -> bool:
    """Whether control left `block` by its branch: a jump elsewhere, or an unconditional branch to
    the next line.
    """
    last = block[-1]
    if not last.is_branch:
        return False
    return last.end != target or not (last.reads_flags or last.kind == "compare_branch")


def _charge(counts: dict[str, int], bill: Bill, times: int) -> None:
    for rule, n in bill:
        counts[rule] = counts.get(rule, 0) + n * times


def _timing(
    name: str,
    counts: Mapping[str, int],
    core: Core,
    instructions: int,
    mix: Mapping[str, int],
    stalls: MemoryStalls | None,
) -> ProfileTiming:
    lines = [(core.rules[rule], times) for rule, times in sorted(counts.items()) if times]
    parts: dict[Part, float] = dict.fromkeys(PARTS, 0.0)
    for rule, times in lines:
        parts[rule.part] += rule.cycles * times
    cycles = Interval(
        sum(r.low * n for r, n in lines),
        sum(r.cycles * n for r, n in lines),
        sum(r.high * n for r, n in lines),
    )
    assumed = sum(abs(r.cycles) * n for r, n in lines if r.status == "assumed")
    spread = core.figures.get("spread", 0.0)
    cycles = Interval(cycles.low * (1 - spread), cycles.mid, cycles.high * (1 + spread))
    if stalls is not None:
        for part, extra in (
            ("fetch_stalls", stalls.fetch),
            ("data_stalls", stalls.data),
            ("external", stalls.external),
        ):
            parts[part] += extra.mid  # type: ignore[index]
            cycles = cycles + extra
            assumed += stalls.assumed_share * extra.mid
    return ProfileTiming(
        name=name,
        cycles=cycles,
        breakdown=parts,
        assumed_share=assumed / cycles.mid if cycles.mid else 0.0,
        instructions=instructions,
        mix=dict(sorted(mix.items())),
        charges=tuple(_line(r, n) for r, n in lines),
    )


def _line(rule: Rule, times: int) -> Charge:
    return Charge(rule.name, rule.part, times, rule.cycles * times, rule.status)


def _total(timed: Sequence[ProfileTiming]) -> ProfileTiming:
    """All profiles as one."""
    mix: dict[str, int] = {}
    charges: dict[str, Charge] = {}
    for t in timed:
        for name, n in t.mix.items():
            mix[name] = mix.get(name, 0) + n
        for c in t.charges:
            old = charges.get(c.rule)
            charges[c.rule] = (
                c
                if old is None
                else Charge(c.rule, c.part, old.times + c.times, old.cycles + c.cycles, c.status)
            )
    cycles = sum((t.cycles for t in timed), Interval(0.0, 0.0, 0.0))
    return ProfileTiming(
        name="total",
        cycles=cycles,
        breakdown={part: sum(t.breakdown[part] for t in timed) for part in PARTS},
        assumed_share=sum(t.assumed_share * t.cycles.mid for t in timed) / cycles.mid
        if cycles.mid
        else 0.0,
        instructions=sum(t.instructions for t in timed),
        mix=dict(sorted(mix.items())),
        charges=tuple(charges[k] for k in sorted(charges)),
    )
