# SPDX-License-Identifier: MIT
"""Published measurements (`measured/`) beside what the models predict for them.

CoreMark's programs are not ours to ship; what is kept of them is how often each timing rule applied
(`measured/coremark_bills.csv`), so that a change of a rule's cost shows, while a change of the
interpreters needs the programs again. Of firmware the result of its last run is kept.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cycle_models.chip import load_chip
from cycle_models.core import Core, load_core
from cycle_models.energy import mix_factor, run_current
from cycle_models.profile import CodeImage, Profile
from cycle_models.timing import time_profiles

_MEASURED = Path(__file__).parent / "measured"
LEVELS = ("O0", "Og", "O1", "Os", "O2", "O3")
_CLOCK_CORRECTION = {
    # The M4 of RT1170 nominally runs at 400 MHz; 480 MHz * 18 / 22 is what its PLL can make, and
    # with it the scores per MHz agree with RT1160's to 0.1 %, without it they differ by 1.8 %.
    "i.MX RT1170_CM4": 392_727_272,
}


def measured(name: str) -> list[dict[str, str]]:
    """The rows of a published table in `measured/`."""
    with (_MEASURED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def coremark_measured(core: str, level: str) -> list[float]:
    """Cycles per CoreMark iteration of every published part with this core, at a GCC level."""
    return [
        _CLOCK_CORRECTION.get(row["part"], int(row["clock_hz"]))
        / float(row["iterations_per_second"])
        for row in measured("coremark_tcm.csv")
        if (row["core"], row["level"]) == (core, level)
    ]


def coremark_error(
    core: str, level: str, profile: Profile, code: CodeImage, iterations: int
) -> float:
    """Percent by which the modelled cycles differ from the mean of the published ones."""
    cycles = time_profiles([profile], code, load_core(core)).total.cycles.mid / iterations
    return 100 * (cycles / statistics.mean(coremark_measured(core, level)) - 1)


def coremark_bill(
    core: str, profile: Profile, code: CodeImage, iterations: int
) -> dict[str, float]:
    """How often each rule applied per iteration: what `measured/coremark_bills.csv` keeps."""
    charges = time_profiles([profile], code, load_core(core)).total.charges
    return {c.rule: c.times / iterations for c in charges}


def coremark_priced(core: Core, level: str) -> float | None:
    """Cycles per iteration by the recorded bill; None when there is none."""
    rows = [
        r for r in measured("coremark_bills.csv") if (r["core"], r["level"]) == (core.name, level)
    ]
    if not rows:
        return None
    return sum(core.rules[r["rule"]].cycles * float(r["times"]) for r in rows)


def lenet_current_ma(chip_name: str, clock_hz: int, workload: str) -> float:
    """The modelled supply current of a published LeNet, by the mix that our own kernels have."""
    chip = load_chip(chip_name)
    rows = [r for r in measured("lenet_mix.csv") if r["workload"] == workload]
    shares = {r["class"]: float(r["share"]) for r in rows}
    return run_current(chip, clock_hz).current_ma.mid * mix_factor(chip, shares).mid


def board_power_mw(chip_name: str, clock_hz: int) -> float:
    """The modelled power of a whole board: its chip's, and what else it is known to take."""
    chip = load_chip(chip_name)
    run = run_current(chip, clock_hz)
    other: float = chip.table["energy"].get("board", {}).get("overhead_mw", 0.0)
    return run.current_ma.mid * run.supply_v + other


def long_run(row: Mapping[str, str]) -> bool:
    """Whether a row of board_power.csv lasted long enough for its averaging window to fill."""
    return float(row["time_ms"]) >= 40


@dataclass(frozen=True, slots=True)
class Row:
    """A published figure beside ours. `use` is calibration (looked at) or validation (not)."""

    use: str
    subject: str
    what: str
    unit: str
    measured: float
    predicted: float

    @property
    def error_percent(self) -> float:
        return 100 * (self.predicted / self.measured - 1)


def rows() -> tuple[Row, ...]:
    """Every published row kept in `measured/`, predicted and measured."""
    found = []
    for r in measured("coremark_tcm.csv"):
        cycles = coremark_priced(load_core(r["core"]), r["level"])
        if cycles is not None:
            clock = _CLOCK_CORRECTION.get(r["part"], int(r["clock_hz"]))
            took = clock / float(r["iterations_per_second"])
            what = f"CoreMark -{r['level']} {r['compiler']} at {int(r['clock_hz']) / 1e6:g} MHz"
            found.append(Row(r["use"], r["part"], what, "cycles", took, cycles))
    for r in measured("mlperf_firmware.csv"):
        what = f"MLPerf Tiny {r['task']}, {r['submission']}"
        pair = float(r["measured_cycles"]), float(r["modelled_memory"])
        found.append(Row("calibration", r["chip"], what, "cycles", *pair))
    for r in measured("run_current.csv"):
        clock = int(r["clock_hz"])
        what = f"{r['workload']} at {clock / 1e6:g} MHz"
        current = lenet_current_ma(r["chip"], clock, r["workload"])
        found.append(Row("calibration", r["chip"], what, "mA", float(r["current_ma"]), current))
    for r in measured("board_power.csv"):
        power = board_power_mw(r["chip"], int(r["clock_hz"]))
        use = "calibration" if r["chip"] == "RP2040" or long_run(r) else "board, not fitted"
        found.append(Row(use, r["chip"], r["workload"], "mW", float(r["power_mw"]), power))
    return tuple(found)
