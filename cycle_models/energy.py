# SPDX-License-Identifier: MIT
"""Energy of a run, average power and battery life, from a chip's run and idle currents.

The model is current(clock, where code runs) times supply voltage times modelled time, then split:
`[energy.class.NAME]` says by how much an instruction of that class takes more or less than the
others, and `[energy.flash_read]` what a read of the flash array takes. Both are relative to the
mix of instructions and the rate of reads that the run current was measured with, so they change a
sum only as far as a program differs from that. Classes without a table count alike: no published
measurement separates them. The interval carries the spread of measured programs, of the split's
figures and of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from cycle_models.chip import Chip
from cycle_models.errors import MachineError
from cycle_models.machine_file import Table, number_of
from cycle_models.timing import Interval, ProfileTiming, Timing


@dataclass(frozen=True, slots=True)
class RunCurrent:
    """The supply current while code runs, at one clock: `condition` names where it runs from."""

    current_ma: Interval
    supply_v: float
    condition: str
    source: str
    status: str


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of one run; `run` says from which current, and how sure that is.

    `by_class` splits the mid value by class of instruction and "flash_reads"; empty where the mix
    of instructions is not known.
    """

    energy_uj: Interval
    power_mw: Interval
    time_ms: Interval
    run: RunCurrent
    by_class: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Duty:
    """Power averaged over runs that start every `period_s`, the chip stopped in between.

    `battery_hours` is None unless a capacity was given; self-discharge is ignored.
    """

    period_s: float
    active_share: float
    average_mw: Interval
    idle_ma: float
    idle_status: str
    battery_hours: Interval | None


def run_current(chip: Chip, clock_hz: int, *, code: str | None = None) -> RunCurrent:
    """The run current of `chip` at `clock_hz` with code in memory `code` (its default if None).

    Between the clocks of the table it is interpolated; outside, scaled from the nearest segment.
    Raises MachineError when the chip file has no run current.
    """
    kind = chip.memory(code or chip.placement["code"]).kind
    tables: dict[str, Table] = chip.table.get("energy", {})
    key = "run_flash" if kind in ("flash", "external") or "run_sram" not in tables else "run_sram"
    if key not in tables:
        raise MachineError(f"{chip.path}: no [energy.{key}], so no energy for {chip.name}")
    table = tables[key]
    current = _interpolate(chip, table["clock_hz"], table["current_ma"], clock_hz)
    return RunCurrent(
        current_ma=Interval(current * table["low"], current, current * table["high"]),
        supply_v=float(table["supply_v"]),
        condition=key.removeprefix("run_"),
        source=table["source"],
        status=table["status"],
    )


def _interpolate(chip: Chip, clocks: list[int], currents: list[float], clock_hz: int) -> float:
    if len(clocks) != len(currents) or not clocks or sorted(clocks) != clocks:
        raise MachineError(f"{chip.path}: run current needs as many currents as rising clocks")
    if len(clocks) == 1:
        return currents[0] * clock_hz / clocks[0]
    segments = list(pairwise(zip(clocks, currents, strict=True)))
    (f0, i0), (f1, i1) = next((s for s in segments if clock_hz <= s[1][0]), segments[-1])
    return max(0.0, i0 + (i1 - i0) * (clock_hz - f0) / (f1 - f0))


def energy(timing: Timing, chip: Chip, clock_hz: int, *, code: str | None = None) -> Energy:
    """The energy of everything that `timing` timed, run once at `clock_hz`."""
    return energy_of_profile(timing.total, chip, clock_hz, code=code)


def energy_of_profile(
    timed: ProfileTiming, chip: Chip, clock_hz: int, *, code: str | None = None
) -> Energy:
    """The energy of one profile (a layer, a function), by its own mix of instructions."""
    plain = energy_of(timed.cycles, chip, clock_hz, code=code)
    total = sum(timed.mix.values())
    if not total:
        return plain
    shares = {name: n / total for name, n in timed.mix.items()}
    by_mix, reads = mix_factor(chip, shares), _reads(chip, timed)
    e, more = plain.energy_uj, reads.beyond_uj
    used = Interval(
        e.low * by_mix.low + more.low,
        e.mid * by_mix.mid + more.mid,
        e.high * by_mix.high + more.high,
    )
    tables = _classes(chip)
    weights = {n: s * (1 + (tables[n]["excess"] if n in tables else 0)) for n, s in shares.items()}
    whole = sum(weights.values())
    split = {name: (used.mid - reads.all_uj) * w / whole for name, w in weights.items()}
    if reads.all_uj:
        split["flash_reads"] = reads.all_uj
    return replace(
        plain,
        energy_uj=used,
        power_mw=Interval(*(uj / ms for uj, ms in _ends(used, plain.time_ms))),
        by_class=split,
    )


def _ends(a: Interval, b: Interval) -> Iterator[tuple[float, float]]:
    """The three ends of two intervals side by side."""
    yield from ((a.low, b.low), (a.mid, b.mid), (a.high, b.high))


def _classes(chip: Chip) -> Mapping[str, Table]:
    """The instruction classes that take more or less than the others, as the chip's file says."""
    found: Mapping[str, Table] = chip.table["energy"].get("class", {})
    for name, table in found.items():
        for key in ("excess", "low", "high", "usual_share"):
            number_of(chip.path, table, key, f"energy.class.{name}")
    return found


def mix_factor(chip: Chip, shares: Mapping[str, float]) -> Interval:
    """The power of a mix of instructions relative to the one that the run current stands for.

    `shares` are by class and add up to 1. Raises MachineError where the chip's table lacks a key.
    """
    tables = _classes(chip)

    def relative(key: str) -> float:
        here = 1 + sum(t[key] * shares.get(name, 0.0) for name, t in tables.items())
        return float(here / (1 + sum(t[key] * t["usual_share"] for t in tables.values())))

    low, mid, high = (relative(key) for key in ("low", "excess", "high"))
    return Interval(min(low, mid, high), mid, max(low, mid, high))


@dataclass(frozen=True, slots=True)
class _Reads:
    """What the reads of the flash array took, and how much that is beyond the usual rate."""

    all_uj: float
    beyond_uj: Interval


def _reads(chip: Chip, timed: ProfileTiming) -> _Reads:
    table: Table | None = chip.table["energy"].get("flash_read")
    if table is None or timed.memory_reads is None:
        return _Reads(0.0, Interval(0.0, 0.0, 0.0))
    low, mid, high, usual = (
        number_of(chip.path, table, key, "energy.flash_read")
        for key in ("low", "nj", "high", "usual_per_cycle")
    )
    beyond = (timed.memory_reads - usual * timed.cycles.mid) / 1e3
    ends = sorted((beyond * low, beyond * high))
    return _Reads(timed.memory_reads * mid / 1e3, Interval(ends[0], beyond * mid, ends[1]))


def energy_of(cycles: Interval, chip: Chip, clock_hz: int, *, code: str | None = None) -> Energy:
    """The energy of so many cycles of whatever code."""
    run = run_current(chip, clock_hz, code=code)
    i, v = run.current_ma, run.supply_v
    ms = [1e3 * c / clock_hz for c in (cycles.low, cycles.mid, cycles.high)]
    power = Interval(i.low * v, i.mid * v, i.high * v)
    return Energy(
        energy_uj=Interval(power.low * ms[0], power.mid * ms[1], power.high * ms[2]),
        power_mw=power,
        time_ms=Interval(*ms),
        run=run,
    )


def duty(used: Energy, chip: Chip, period_s: float, *, battery_mah: float | None = None) -> Duty:
    """Average power when the run starts every `period_s` seconds and the chip stops in between.

    Raises MachineError when the run takes longer than the period, or the file has no stop current.
    """
    if used.time_ms.mid > 1e3 * period_s:
        raise MachineError(
            f"a run takes {used.time_ms.mid:.3g} ms, longer than the period of {period_s:g} s"
        )
    table: Table | None = chip.table.get("energy", {}).get("stop")
    if table is None:
        raise MachineError(f"{chip.path}: no [energy.stop], so no average power for {chip.name}")
    idle_ma, volt = float(table["current_ma"]), used.run.supply_v
    share = [t / (1e3 * period_s) for t in (used.time_ms.low, used.time_ms.mid, used.time_ms.high)]
    e = used.energy_uj
    power = [
        uj / (1e3 * period_s) + idle_ma * volt * (1 - s)
        for uj, s in zip((e.low, e.mid, e.high), share, strict=True)
    ]
    hours = None
    if battery_mah is not None:
        low, mid, high = (battery_mah * volt / p for p in reversed(power))
        hours = Interval(low, mid, high)
    return Duty(
        period_s=period_s,
        active_share=share[1],
        average_mw=Interval(*power),
        idle_ma=idle_ma,
        idle_status=table["status"],
        battery_hours=hours,
    )
