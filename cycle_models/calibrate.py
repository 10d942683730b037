# SPDX-License-Identifier: MIT
"""Fits a chip's current and stall figures to measurements, and says how far to trust them.

Two small linear models, each bounded and drawn towards what the chip file says already, so that a
few rows cannot carry it away: current = a + b * clock, and cycles = core + scale * stalls.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cycle_models.chip import Chip
from cycle_models.energy import run_current
from cycle_models.errors import MachineError

_RIDGE = 0.02
"""Weight of the chip file's figures, in squared relative errors of one row."""

_SCALE_BOUNDS = (0.25, 4.0)
_CURRENT_BOUNDS = (0.2, 5.0)
_UNITS = {
    "clock": "clock_hz",
    "current": "current_ma",
    "cycles": "measured_cycles",
    "power": "current_ma",
    "time": "measured_cycles",
}
_CURRENT = ("clock_hz", "current_ma")
_STALLS = ("measured_cycles", "core_cycles", "stall_cycles")


@dataclass(frozen=True, slots=True)
class Residual:
    """One row: percent by which the fit is off, and when the row itself was left out of it."""

    row: int
    what: str
    measured: float
    error_percent: float
    left_out_percent: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The text of a chip file with fitted figures, and the residual of every row."""

    toml: str
    residuals: tuple[Residual, ...]


def calibrate(chip: Chip, measurements: Path) -> Calibration:
    """Fit `chip` to a CSV of measurements.

    Columns: `clock_hz` and `current_ma` for the run current; `measured_cycles`, `core_cycles` and
    `stall_cycles` (the modelled parts) for the memories. Either set, or both.
    Raises MachineError naming file, line and column.
    """
    rows = _rows(measurements)
    toml = chip.path.read_text(encoding="utf-8")
    residuals: list[Residual] = []
    have = set(rows[0][1])
    if have >= set(_CURRENT):
        fit = _fit_current(chip, [(n, r["clock_hz"], r["current_ma"]) for n, r in rows])
        residuals += fit[1]
        toml = _replaced(toml, "energy.run_flash", _current_table(chip, rows, fit, measurements))
    if have >= set(_STALLS):
        scale, found = _fit_stalls(
            [(n, r[_STALLS[0]], r[_STALLS[1]], r[_STALLS[2]]) for n, r in rows]
        )
        residuals += found
        toml = _replaced(toml, "memory_model", _stall_table(scale, found, measurements))
    if not residuals:
        raise MachineError(
            f"{measurements}: needs the columns {', '.join(_CURRENT)}, or {', '.join(_STALLS)}; "
            f"has {', '.join(sorted(have))}"
        )
    return Calibration(toml, tuple(residuals))


def _rows(path: Path) -> list[tuple[int, dict[str, float]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"{path}: cannot be read ({error})") from error
    reader = csv.DictReader(io.StringIO(text))
    for name in reader.fieldnames or ():
        if name in _UNITS:
            raise MachineError(f"{path}:1: column {name!r} lacks its unit; write {_UNITS[name]!r}")
    known = {*_CURRENT, *_STALLS} & set(reader.fieldnames or ())
    rows = []
    for number, row in enumerate(reader, start=2):
        values = {}
        for name in known:
            try:
                values[name] = float(row[name])
            except (TypeError, ValueError):
                raise MachineError(f"{path}:{number}: {name} is no number: {row[name]!r}") from None
            if values[name] < 0 or (values[name] == 0 and name != "stall_cycles"):
                raise MachineError(f"{path}:{number}: {name} must be above zero, is {row[name]}")
        rows.append((number, values))
    if len(rows) < 2:
        raise MachineError(f"{path}: needs two rows of measurements or more, has {len(rows)}")
    return rows


def _fit_current(
    chip: Chip, rows: Sequence[tuple[int, float, float]]
) -> tuple[Callable[[float], float], list[Residual]]:
    low, high = min(f for _, f, _ in rows), max(f for _, f, _ in rows)
    prior = [run_current(chip, int(f)).current_ma.mid for f in (low, high)]

    def solve(some: Sequence[tuple[int, float, float]]) -> Callable[[float], float]:
        span = max(high - low, 1.0)
        # Unknowns: the currents at the lowest and highest clock, relative to the chip file's.
        a = [
            [(high - f) / span * prior[0] / i, (f - low) / span * prior[1] / i] for _, f, i in some
        ]
        a += [[_RIDGE**0.5, 0.0], [0.0, _RIDGE**0.5]]
        b = [1.0] * len(some) + [_RIDGE**0.5] * 2
        found = np.linalg.lstsq(np.array(a), np.array(b), rcond=None)[0]
        x = np.clip(found, *_CURRENT_BOUNDS)
        ends = [float(x[0]) * prior[0], float(x[1]) * prior[1]]
        return lambda f: ends[0] + (ends[1] - ends[0]) * (f - low) / span

    fit = solve(rows)
    residuals = []
    for k, (number, f, i) in enumerate(rows):
        others = solve([*rows[:k], *rows[k + 1 :]])
        residuals.append(
            Residual(number, "current_ma", i, 100 * (fit(f) / i - 1), 100 * (others(f) / i - 1))
        )
    return fit, residuals


def _fit_stalls(
    rows: Sequence[tuple[int, float, float, float]],
) -> tuple[float, list[Residual]]:
    def solve(some: Sequence[tuple[int, float, float, float]]) -> float:
        share = [stall / cycles for _, cycles, _, stall in some]
        want = [(cycles - core) / cycles for _, cycles, core, _ in some]
        top = sum(s * w for s, w in zip(share, want, strict=True)) + _RIDGE
        return float(np.clip(top / (sum(s * s for s in share) + _RIDGE), *_SCALE_BOUNDS))

    scale = solve(rows)
    residuals = []
    for k, (number, cycles, core, stall) in enumerate(rows):
        left_out = solve([*rows[:k], *rows[k + 1 :]])
        errors = [100 * ((core + s * stall) / cycles - 1) for s in (scale, left_out)]
        residuals.append(Residual(number, "cycles", cycles, errors[0], errors[1]))
    return scale, residuals


def _current_table(
    chip: Chip,
    rows: Sequence[tuple[int, dict[str, float]]],
    fit: tuple[Callable[[float], float], list[Residual]],
    source: Path,
) -> str:
    clocks = sorted({int(r["clock_hz"]) for _, r in rows})
    ends = [clocks[0], clocks[-1]] if len(clocks) > 1 else clocks
    supply = run_current(chip, clocks[0]).supply_v
    spread = max(0.01, max(abs(r.left_out_percent) for r in fit[1]) / 100)
    return (
        "[energy.run_flash]\n"
        f"clock_hz = {ends}\n"
        f"current_ma = {[round(fit[0](f), 4) for f in ends]}\n"
        f"supply_v = {supply}\n"
        f"low = {1 - spread:.3f}\nhigh = {1 + spread:.3f}\n"
        f'source = "fitted to {len(rows)} rows of {source.name}"\nstatus = "fitted"\n'
    )


def _stall_table(scale: float, residuals: Sequence[Residual], source: Path) -> str:
    spread = max(0.05, max(abs(r.left_out_percent) for r in residuals) / 100)
    return (
        "[memory_model]\n"
        f"scale = {scale:.4f}\nlow = {1 - spread:.3f}\nhigh = {1 + spread:.3f}\n"
        f'source = "fitted to {len(residuals)} rows of {source.name}"\nstatus = "fitted"\n'
    )


def _replaced(toml: str, section: str, table: str) -> str:
    """The file with one section exchanged, or added at the end."""
    pattern = re.compile(rf"^\[{re.escape(section)}\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
    if pattern.search(toml):
        return pattern.sub(lambda _: table + "\n", toml, count=1)
    return toml.rstrip("\n") + "\n\n" + table
