# SPDX-License-Identifier: MIT
"""The second front door: a function of any firmware, measured by the same machine.

The ELF is loaded as a programmer and its start-up code would leave it: code and initialised data in
place, everything else zero, FPU on. No peripherals exist; code that waits for one never returns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from unicorn.arm_const import UC_ARM_REG_R0

import simharness
from cycle_models.core import load_core
from cycle_models.energy import Energy, energy
from cycle_models.memory import memory_system
from cycle_models.profile import Block, Edge, Profile
from cycle_models.timing import Interval, MemoryStalls, ProfileTiming, Timing, time_profiles
from simharness import elf, native, pipeline
from simharness.engines.decode import executed
from simharness.engines.unicorn import UnicornEngine
from simharness.engines.unicorn_count import RUN, profiles
from simharness.engines.unicorn_cpu import Cpu
from simharness.errors import UsageError, about, translated
from simharness.files import sha256, shown_path
from simharness.foreign.load import require_room
from simharness.image import Image, Symbol
from simharness.image import Memory as Region
from simharness.options import TimingMode
from simharness.pipeline import Machine
from simharness.report import assemble
from simharness.report.model import (
    SCHEMA_VERSION,
    Board,
    Engine,
    Fit,
    InputFile,
    Layer,
    Memory,
    MemoryFit,
    Removed,
    Report,
    Results,
    Sanitizer,
)

OTHER = "(other)"
"""Code that no function symbol covers."""

_MAX_ARGUMENTS = 4


def profile(
    path: Path,
    call: str,
    arguments: Sequence[int],
    *,
    core: str | None,
    board: str | Path | None,
    clock_hz: int | None,
    budget: int,
    timing: TimingMode,
    contract: str | Path | None = None,
) -> Report:
    """What `simharness.profile` promises."""
    with translated():
        machine = pipeline.machine_for(core, board, clock_hz)
        digest = sha256(path)
        data = path.read_bytes()
        memories = [
            Region(m.name, m.origin, m.size_bytes, m.writable) for m in machine.chip.memories
        ]
        with about(shown_path(path)):
            image = elf.image(data, machine.core, memories)
            require_room(elf.parse(data).load, machine.chip)
        found = _sanitized(image, contract, call, arguments, budget) if contract else None
        whole, stack_bytes = _count(image, call, arguments, budget)
        parts = split(whole, image)
        timed = _time(parts, image, machine, call, arguments, budget, timing)
        used = energy(timed, machine.chip, machine.clock_hz) if _has_energy(machine) else None
    rows = _functions(timed, parts, image, used)
    total = timed.total
    described = UnicornEngine().describe()
    results = Results(
        ok=found is None or found.ok,
        fit=_fit(image, machine),
        instructions=executed((whole,), image.code),
        cycles=assemble.cycles(total.cycles),
        time_ms=assemble.scaled(total.cycles, 1e3 / machine.clock_hz),
        energy_uj=assemble.scaled(used.energy_uj, 1.0) if used else None,
        macs=0,
        removed=Removed(0, 0, 0),
        memory=_memory(image, stack_bytes),
        timing=assemble.timing(timed),
        supply=assemble.supply(used) if used else None,
        layers=rows,
        sanitizer=found,
        sources={
            "instructions": "counted", "cycles": "modelled", "time_ms": "modelled",
            "energy_uj": "modelled", "memory": "counted", "fit": "counted",
        },
    )  # fmt: skip
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=f"simharness {simharness.__version__}",
        model=f"{shown_path(path)}: {call}",
        inputs=(
            InputFile("elf", shown_path(path), digest),
            *(() if contract is None else (_contract_file(contract),)),
            *pipeline.machine_files(machine),
        ),
        engine=Engine(described.name, described.version, described.fidelity),
        board=Board(machine.chip.name, machine.core, machine.clock_hz, machine.chip.description),
        results=results,
    )


def split(whole: Profile, image: Image) -> tuple[Profile, ...]:
    """One profile per function that ran: blocks where they lie, edges where they start."""
    functions = _functions_of(image)
    starts = [s.address for s in functions]

    def owner(address: int) -> str:
        at = bisect_right(starts, address) - 1
        if at >= 0 and address < starts[at] + max(functions[at].size_bytes, 2):
            return functions[at].name
        return OTHER

    blocks: dict[str, list[Block]] = {}
    edges: dict[str, list[Edge]] = {}
    for block in whole.blocks:
        blocks.setdefault(owner(block.address), []).append(block)
    for edge in whole.edges:
        edges.setdefault(owner(edge.source), []).append(edge)
    return tuple(
        Profile(name, tuple(found), tuple(edges.get(name, ()))) for name, found in blocks.items()
    )


def _functions_of(image: Image) -> list[Symbol]:
    """Function symbols by address; of several names for one function the first in the alphabet."""
    found = {s.address: s for s in sorted(image.symbols.values(), key=_by_name) if s.kind == "func"}
    return [found[address] for address in sorted(found)]


def _by_name(symbol: Symbol) -> tuple[str, str]:
    """Sorts so that the last one wins: plain names over those with leading underscores."""
    return ("0" if symbol.name.startswith("_") else "1", symbol.name)


def _count(
    image: Image, call: str, arguments: Sequence[int], budget: int
) -> tuple[Profile, int | None]:
    """The blocks and edges of one call, and the stack it used."""
    cpu = _ready(image)
    cpu.paint_stack()
    cpu.counter.start(budget)
    _invoke(cpu, call, arguments, budget)
    return profiles(cpu.counter.finish(), (RUN,))[0], cpu.stack_bytes()


def _sanitized(
    image: Image, contract: str | Path, call: str, arguments: Sequence[int], budget: int
) -> Sanitizer:
    """What functions touch beside what the contract allows, in a run of its own."""
    from simharness import sanitize

    rules = sanitize.read_contract(contract, image)
    layered = replace(image, layers=tuple(rules.layers))
    return sanitize.watched(
        layered, rules, lambda cpu: _invoke(cpu, call, arguments, budget), budget=budget
    )


def _contract_file(contract: str | Path) -> InputFile:
    return InputFile("contract", shown_path(Path(contract)), sha256(Path(contract)))


def _ready(image: Image) -> Cpu:
    cpu = Cpu(image)
    cpu.boot()
    return cpu


def _invoke(cpu: Cpu, call: str, arguments: Sequence[int], budget: int) -> None:
    symbol = cpu.image.symbols.get(call)
    if symbol is None or symbol.kind != "func":
        near = sorted(s.name for s in cpu.image.symbols.values() if s.kind == "func")
        alike = get_close_matches(call, near, 6) or [n for n in near if call in n][:6]
        hint = f"; did you mean {', '.join(alike)}?" if alike else ""
        raise UsageError(f"the firmware has no function {call!r}{hint}")
    if len(arguments) > _MAX_ARGUMENTS:
        raise UsageError(f"at most {_MAX_ARGUMENTS} arguments can be given, not {len(arguments)}")
    for register, value in enumerate(arguments):
        cpu.uc.reg_write(UC_ARM_REG_R0 + register, value & 0xFFFF_FFFF)
    cpu.call(symbol.address, budget)


def _time(
    parts: Iterable[Profile],
    image: Image,
    machine: Machine,
    call: str,
    arguments: Sequence[int],
    budget: int,
    mode: TimingMode,
) -> Timing:
    """The cycles of each function; the stalls of slow memories come from a run of their own."""
    core = load_core(machine.core)
    found = tuple(parts)
    system = memory_system(machine.chip, clock_hz=machine.clock_hz)
    stalls: dict[str, MemoryStalls] | None = None
    if mode == "auto" and system.config.region_count > 0 and native.load() is not None:
        from simharness.engines.unicorn_memory import Feed

        named = tuple(p.name for p in found if p.name in image.symbols)
        cpu = Cpu(replace(image, layers=named))
        feed = Feed(cpu, system, core)
        cpu.boot()
        cpu.counter.start(budget)
        feed.run(True)
        _invoke(cpu, call, arguments, budget)
        feed.run(False)
        stalls = dict(feed.stalls())
        stalls[OTHER] = stalls.pop(RUN)
        if OTHER not in {p.name for p in found}:
            found = (*found, Profile(OTHER, (), ()))
    return time_profiles(found, image.code, core, memory=stalls)


def _functions(
    timed: Timing, parts: Iterable[Profile], image: Image, used: Energy | None
) -> tuple[Layer, ...]:
    """A row per function, the dearest first; what cost nothing is left out."""
    total = timed.total.cycles
    calls = {p.name: _calls(p, image) for p in parts}
    rows = [
        _function(t, image.symbols.get(t.name), calls.get(t.name, 0), total, used)
        for t in timed.profiles
        if t.instructions or t.cycles.mid
    ]
    return tuple(sorted(rows, key=lambda y: (-(y.cycles.mid if y.cycles else 0), y.name)))


def _function(
    t: ProfileTiming, symbol: Symbol | None, calls: int, total: Interval, used: Energy | None
) -> Layer:
    return Layer(
        name=t.name,
        op="function",
        kernel=f"{calls} calls" if calls != 1 else "1 call",
        symbol=t.name,
        origin=(),
        shape=(),
        macs=0,
        instructions=t.instructions,
        cycles=assemble.cycles(t.cycles),
        share=round(min(1.0, t.cycles.mid / total.mid), 4) if total.mid else 0.0,
        output_bytes=0,
        scratch_bytes=0,
        text_bytes=symbol.size_bytes if symbol else 0,
        weights_bytes=0,
        energy_uj=assemble.energy_share(used, t.cycles, total),
        parts={str(k): max(0, round(v)) for k, v in t.breakdown.items()},
        mix=dict(t.mix),
    )


def _calls(part: Profile, image: Image) -> int:
    """How often the block at the function's entry ran."""
    symbol = image.symbols.get(part.name)
    return sum(b.count for b in part.blocks if symbol and b.address == symbol.address)


def _fit(image: Image, machine: Machine) -> Fit:
    """What each memory holds, from its first byte to the last one used."""
    places = elf.parse(image.elf).places.values()
    loads = [(s.address, s.address + len(s.data)) for s in elf.parse(image.elf).load]
    extents = [*loads, *((a, a + n) for a, n in places)]
    found = []
    for m in machine.chip.memories:
        end = max((e for a, e in extents if m.origin <= a < m.end), default=m.origin)
        used = end - m.origin
        if used:
            found.append(MemoryFit(m.name, used, m.size_bytes, max(0, used - m.size_bytes)))
    return Fit(all(not m.shortfall_bytes for m in found), tuple(found))


def _memory(image: Image, stack_bytes: int | None) -> Memory:
    sections = image.sections
    return Memory(
        flash_bytes=sum(len(s.data) for s in elf.parse(image.elf).load),
        text_bytes=sum(n for name, n in sections.items() if name.startswith((".text", ".vectors"))),
        weights_bytes=sum(n for name, n in sections.items() if name.startswith(".rodata")),
        arena_bytes=0,
        scratch_bytes=0,
        stack_bytes=stack_bytes,
        sections=dict(sorted(sections.items())),
    )


def _has_energy(machine: Machine) -> bool:
    return "energy" in machine.chip.table
