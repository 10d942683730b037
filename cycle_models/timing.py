# SPDX-License-Identifier: MIT
"""From counted blocks and edges to cycles: intervals, a breakdown, what rests on assumptions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cycle_models.bill import Bill
from cycle_models.core import PARTS, Core, Part, Rule
from cycle_models.decode import Decoder, Instruction
from cycle_models.kinds import words
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
    `memory_reads` says how often a slow memory was read, None at zero wait states.
    """

    name: str
    cycles: Interval
    breakdown: Mapping[Part, float]
    assumed_share: float
    instructions: int
    mix: Mapping[str, int]
    charges: tuple[Charge, ...]
    memory_reads: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of several profiles on one core. `mode` names what was modelled."""

    mode: Mode
    core: str
    profiles: tuple[ProfileTiming, ...]
    total: ProfileTiming


@dataclass(frozen=True, slots=True)
class MemoryStalls:
    """Stall cycles that a memory simulation found for one profile (the memory mode's input), how
    many data accesses were unaligned, and how often a slow memory was read.
    """

    fetch: Interval
    data: Interval
    external: Interval
    assumed_share: float = 0.0
    unaligned: int = 0
    reads: int = 0


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


def block_cost(code: CodeImage, core: Core) -> Callable[[int, int], tuple[float, list[bool]]]:
    """A function that prices a block: zero-wait cycles with its usual exit, and per data access
    whether the core overlaps it with the one before.

    Without knowing where a run comes from and goes to, this is an estimate, good enough for the
    clock of a memory simulation and never added up into a result.
    """
    decoder = Decoder(code)
    pipeline = pipeline_of(core)

    def cost(address: int, size: int) -> tuple[float, list[bool]]:
        block = decoder.block(address, size)
        bill = dict(pipeline.walk(block, pipeline.start())[0])
        for rule, times in pipeline.edge(block, True, None):
            bill[rule] = bill.get(rule, 0) + times
        cycles = sum(core.rules[rule].cycles * times for rule, times in bill.items())
        return max(cycles, 0.0), _overlaps(block)

    return cost


def _overlaps(block: Sequence[Instruction]) -> list[bool]:
    """Per data access of a block: whether a pipeline overlaps it with the load right before."""
    found: list[bool] = []
    loaded: frozenset[str] | None = None
    for i in block:
        if i.kind in ("load", "store"):
            found.append(loaded is not None and not i.address & loaded)
            found += [False] * (i.transfers - 1)
            loaded = i.writes if i.kind == "load" else None
        else:
            if i.kind in _MEMORY_KINDS:
                found += [False] * max(1, i.transfers)
            loaded = None
    return found


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
        flow = self._flow(p)
        for (source, target), n in flow.edges.items():
            block = self._block(source)
            first = self._block(target)[0] if target is not None else None
            _charge(counts, self._pipeline.edge(block, _taken(block, first), first), n)
        for source, n in flow.unknown_exits.items():
            if self._block(source)[-1].is_branch:
                _charge(counts, self._pipeline.edge(self._block(source), True, None), n)
        for source, ways in flow.ways.items():
            _charge(counts, self._pipeline.mispredicted(self._block(source), ways), 1)
        for (b, entry), n in self._entries(flow).items():
            _charge(counts, self._walk(b, entry)[0], n)
        if stalls is not None and "unaligned_access" in self._core.rules:
            counts["unaligned_access"] = stalls.unaligned
        instructions = sum(len(self._block(b)) * b.count for b in p.blocks)
        return _timing(p.name, counts, self._core, instructions, self._mix(p), stalls)

    def _mix(self, p: Profile) -> dict[str, int]:
        mix: dict[str, int] = {}
        for b in p.blocks:
            for i in self._block(b):
                fp = i.fp and i.kind not in _MEMORY_KINDS
                name = "fp" if fp else MIX.get(i.kind, "other")
                mix[name] = mix.get(name, 0) + b.count
        return mix

    def _flow(self, p: Profile) -> _Flow:
        """Match edges, which know addresses, with blocks, of which several may share an address.

        An edge leaves the block whose end or branch leads to its target, and enters blocks of its
        target address up to their counts. An edge into another profile keeps no target.
        """
        blocks: dict[int, list[Block]] = {}
        for b in p.blocks:
            blocks.setdefault(b.address, []).append(b)
        flow = _Flow({}, {}, {}, {b: b.count for b in p.blocks})
        room = {b: b.count for b in p.blocks}
        for e in p.edges:
            source = self._source(blocks.get(e.source, []), e.target)
            rest = e.count
            if source is not None:
                flow.ways.setdefault(source, []).append(e.count)
                flow.unknown_exits[source] = flow.unknown_exits.get(source, source.count) - e.count
            for target in blocks.get(e.target, ()):
                n = min(rest, room[target])
                if n <= 0:
                    continue
                rest -= n
                room[target] -= n
                if source is not None:
                    flow.unknown_entries[target] -= n
                    flow.edges[source, target] = flow.edges.get((source, target), 0) + n
            if rest and source is not None:
                flow.edges[source, None] = flow.edges.get((source, None), 0) + rest
        for b in p.blocks:
            flow.unknown_exits.setdefault(b, b.count)
        flow.unknown_exits = {b: n for b, n in flow.unknown_exits.items() if n > 0}
        return flow

    def _source(self, candidates: Sequence[Block], target: int) -> Block | None:
        """The block at an address that control to `target` left."""
        for b in candidates:
            last = self._block(b)[-1]
            if target in (b.address + b.size_bytes, last.target):
                return b
        return max(candidates, key=lambda b: b.count, default=None)

    def _entries(self, flow: _Flow) -> dict[tuple[Block, Any], int]:
        """How often each block was entered in which state.

        The state a block leaves depends on how it was entered itself; it is taken from its most
        frequent entry, which two rounds settle even for blocks of one instruction.
        """
        start = self._pipeline.start()
        main: dict[Block, tuple[int, Block]] = {}
        for (source, target), n in flow.edges.items():
            if target is not None and n > main.get(target, (0, source))[0]:
                main[target] = (n, source)
        exits = {b: self._walk(b, start)[1] for b in flow.unknown_entries}
        settled = {
            b: self._walk(b, self._entry(exits, main[b][1], b) if b in main else start)[1]
            for b in flow.unknown_entries
        }
        entered: dict[tuple[Block, Any], int] = {}
        for (source, target), n in flow.edges.items():
            if target is not None:
                key = (target, self._entry(settled, source, target))
                entered[key] = entered.get(key, 0) + n
        for b, n in flow.unknown_entries.items():
            if n > 0:
                entered[b, start] = entered.get((b, start), 0) + n
        return entered

    def _entry(self, exits: Mapping[Block, Any], source: Block, target: Block) -> Any:
        state = exits[source]
        if _taken(self._block(source), self._block(target)[0]):
            return self._pipeline.after_taken(state)
        return state


@dataclass(slots=True)
class _Flow:
    """A profile's control flow between blocks, with what its edges leave unexplained."""

    edges: dict[tuple[Block, Block | None], int]
    ways: dict[Block, list[int]]
    unknown_exits: dict[Block, int]
    unknown_entries: dict[Block, int]


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


def _taken(block: Sequence[Instruction], first: Instruction | None) -> bool:
    """Whether control left `block` by its branch to `first` (None: somewhere else): a jump, or an
    unconditional branch to the next line.
    """
    last = block[-1]
    if not last.is_branch:
        return False
    conditional = last.reads_flags or last.kind == "compare_branch"
    return first is None or last.end != first.address_of or not conditional


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
        memory_reads=None if stalls is None else stalls.reads,
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
        memory_reads=_sum_of(t.memory_reads for t in timed),
    )


def _sum_of(some: Iterable[int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [n for n in some if n is not None]
    return sum(known) if known else None
