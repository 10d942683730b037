# SPDX-License-Identifier: MIT
# ruff: noqa: E501 - tables read best with one row per line
"""How far the models are from silicon: `python -m cycle_models.fidelity` prints the table.

Published rows are in `measured/`. CoreMark's programs are not ours to ship; what is kept of them is
how often each timing rule applied (`measured/coremark_bills.csv`), so that a change of a rule's
cost moves this table, while a change of the interpreters needs the programs again.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cycle_models.chip import load_chip
from cycle_models.core import Core, load_core
from cycle_models.energy import run_current
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


def _priced(core: Core, level: str) -> float | None:
    rows = [
        r for r in measured("coremark_bills.csv") if (r["core"], r["level"]) == (core.name, level)
    ]
    if not rows:
        return None
    return sum(core.rules[r["rule"]].cycles * float(r["times"]) for r in rows)


def coremark_table() -> list[str]:
    """CoreMark in tightly coupled memory, error in percent per core and level."""
    lines = [
        "| core | "
        + " | ".join(f"-{level}" for level in LEVELS)
        + " | mean abs., -O1 to -O3 | rows |",
        "|---|" + "---:|" * (len(LEVELS) + 1) + "---|",
    ]
    for name in ("m4", "m7", "m33"):
        core = load_core(name)
        errors = {}
        for level in LEVELS:
            cycles = _priced(core, level)
            if cycles is not None:
                errors[level] = 100 * (cycles / statistics.mean(coremark_measured(name, level)) - 1)
        if not errors:
            continue
        mean = statistics.mean(abs(errors[k]) for k in LEVELS[2:] if k in errors)
        use = "validation" if name == "m33" else "calibration"
        cells = " | ".join(f"{errors[k]:+.1f}" if k in errors else "" for k in LEVELS)
        lines.append(f"| {core.title} | {cells} | {mean:.1f} | {use} |")
    return lines


def firmware_table() -> list[str]:
    """Unmodified MLPerf Tiny firmware between its two time stamps, as recorded."""
    lines = [
        "| chip | submission | task | measured Mcycles | zero-wait % | with memories % |",
        "|---|---|---|---:|---:|---:|",
    ]
    by_core: dict[str, list[float]] = {}
    for row in measured("mlperf_firmware.csv"):
        cycles = int(row["measured_cycles"])
        zero, full = (
            100 * (int(row[k]) / cycles - 1) for k in ("modelled_zero_wait", "modelled_memory")
        )
        by_core.setdefault(load_chip(row["chip"]).core, []).append(abs(full))
        lines.append(
            f"| {row['chip']} | {row['submission']} | {row['task']} | {cycles / 1e6:.3f} "
            f"| {zero:+.1f} | {full:+.1f} |"
        )
    means = ", ".join(
        f"{load_core(core).title} {statistics.mean(errors):.1f} % of {len(errors)} (worst "
        f"{max(errors):.1f})"
        for core, errors in by_core.items()
    )
    return [*lines, "", f"Mean absolute error with memories: {means}."]


def current_table() -> list[str]:
    """Run current against published workloads."""
    lines = ["| chip | rows | mean abs. % | worst % | source |", "|---|---:|---:|---:|---|"]
    rows = measured("run_current.csv")
    for name in sorted({r["chip"] for r in rows}):
        chip = load_chip(name)
        errors = [
            100
            * (run_current(chip, int(r["clock_hz"])).current_ma.mid / float(r["current_ma"]) - 1)
            for r in rows
            if r["chip"] == name
        ]
        lines.append(_error_line(name, errors, "ZIP-CNN LeNet, supply current"))
    rows = measured("board_power.csv")
    for name in sorted({r["chip"] for r in rows}):
        run = run_current(
            load_chip(name), int(next(r for r in rows if r["chip"] == name)["clock_hz"])
        )
        power = run.current_ma.mid * run.supply_v
        errors = [100 * (power / float(r["power_mw"]) - 1) for r in rows if r["chip"] == name]
        lines.append(_error_line(name, errors, "Deutel et al. LeNet, power of the whole board"))
    return lines


def _error_line(name: str, errors: Iterable[float], source: str) -> str:
    values = [abs(e) for e in errors]
    mean, worst = statistics.mean(values), max(values)
    return f"| {name} | {len(values)} | {mean:.1f} | {worst:.1f} | {source} |"


def assumed_table() -> list[str]:
    """The rules of each core that rest on an assumption."""
    lines = ["| core | rule | cycles | why |", "|---|---|---|---|"]
    for name in ("m0plus", "m3", "m4", "m33", "m7"):
        for rule in load_core(name).rules.values():
            if rule.status == "assumed":
                span = f"{rule.cycles:g} ({rule.low:g} to {rule.high:g})"
                lines.append(f"| {name} | {rule.name} | {span} | {rule.source} |")
    return lines


CONTRADICTIONS = """\
### Where published figures contradict each other

| what | said | believed, and why |
|---|---|---|
| M4: loads with write-back of one base in a row | jnk0le: do not overlap; MLPerf firmware of ST \
(kws, L4R5): 5 % too slow with that rule | they overlap: whole programs outweigh a template |
| M4: STR with immediate offset after LDR | Arm TRM: 3 for the pair; jnk0le: one per cycle | the TRM; \
CoreMark at -O0, full of such pairs, agrees |
| M4: LDR after STR | Arm TRM: 2; jnk0le: one more | one more: CoreMark -O0 is 6 % off without it |
| M4: P of a taken branch | Arm TRM: 1 to 3; mbed and nrfx loops: 1; blaatschaap, code in SRAM: 2 | 1, \
and one more when code runs over the system bus |
| M4: loads | SLOTHY: 2 each; Arm TRM: N + 1 in a row | the TRM, and only within one memory (jnk0le); \
firmware whose loads alternate between flash and SRAM is 2 % off without that |
| M4: FP multiply-accumulate | LLVM: 1 per cycle; Arm's table: 3 | Arm's table |
| M33: taken branch | SLOTHY: 3; jnk0le: 2, or 1 when paired; nrfx and mbed loops: 3 per iteration | \
jnk0le, which explains both loops |
| M33: inline shifts | jnk0le: 2 for all; SLOTHY: LSL 1 | SLOTHY, which measured them one by one |
| M7: mispredicted branch | jnk0le: 8, or 6 with early flags; LLVM: 6 | jnk0le |
| M7: DSP in the younger slot | LLVM: allowed; jnk0le: older slot only | jnk0le: firmware of ST and \
Bosch is 5 to 7 % too fast otherwise |
| M4 of i.MX RT1170 | CoreMark at a nominal 400 MHz is 1.8 % below RT1160's per MHz | its PLL makes \
392.7 MHz; with that the two agree to 0.1 % |
"""


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
        cycles = _priced(load_core(r["core"]), r["level"])
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
        current = run_current(load_chip(r["chip"]), clock).current_ma.mid
        found.append(Row("calibration", r["chip"], what, "mA", float(r["current_ma"]), current))
    for r in measured("board_power.csv"):
        run = run_current(load_chip(r["chip"]), int(r["clock_hz"]))
        power = run.current_ma.mid * run.supply_v
        use = "calibration" if r["chip"] == "RP2040" else "board, not fitted"
        found.append(Row(use, r["chip"], r["workload"], "mW", float(r["power_mw"]), power))
    return tuple(found)


def fragment() -> str:
    """The part of FIDELITY.md that the models' own data determine."""
    parts = [
        "<!-- written by: python -m cycle_models.fidelity -->",
        "### CoreMark, GCC 12, code and data in TCM (error of modelled cycles, %)",
        "",
        *coremark_table(),
        "",
        "Calibration rows were looked at while the rules were written; validation rows were not.",
        "",
        "### MLPerf Tiny firmware, unmodified (error of modelled cycles, %)",
        "",
        *firmware_table(),
        "",
        "Recorded when the firmware last ran under the model; the binaries are not ours to ship.",
        "All rows are calibration: they were looked at. The other two tasks, all Cortex-M33",
        "results and other submitters were never run.",
        "",
        "### Run current and power",
        "",
        *current_table(),
        "",
        "The nRF52840 rows span 82 to 142 mW for code that keeps one core busy; a core that takes",
        "10 mW does not explain that: they measure the rest of the board and are not fitted.",
        "",
        "### Rules that are assumed",
        "",
        *assumed_table(),
        "",
        CONTRADICTIONS,
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    print(fragment(), end="")
