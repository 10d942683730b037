# SPDX-License-Identifier: MIT
"""Energy of a run, average power and battery life, from a chip's run and idle currents.

The model is current(clock, where code runs) times supply voltage times modelled time. Published
measurements of different networks on one board differ by 3 % around it, so a finer split by
instruction class would be fiction; the interval carries that spread and the time's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cycle_models.chip import Chip
from cycle_models.errors import MachineError
from cycle_models.machine_file import Table
from cycle_models.timing import Interval, Timing


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
    """The energy of one run; `run` says from which current, and how sure that is."""

    energy_uj: Interval
    power_mw: Interval
    time_ms: Interval
    run: RunCurrent


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
    return energy_of(timing.total.cycles, chip, clock_hz, code=code)


def energy_of(cycles: Interval, chip: Chip, clock_hz: int, *, code: str | None = None) -> Energy:
    """The energy of so many cycles (for a single layer)."""
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
