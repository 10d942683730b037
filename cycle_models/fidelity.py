# SPDX-License-Identifier: MIT
# ruff: noqa: E501 - tables read best with one row per line
"""How far the models are from silicon: `python -m cycle_models.fidelity` prints the tables.

With `--write FIDELITY.md` the table of errors per core and memory replaces what that file has
between its two marks, and this package's own FIDELITY.md is written anew.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from pathlib import Path

from cycle_models.chip import load_chip
from cycle_models.core import load_core
from cycle_models.published import (
    LEVELS,
    board_power_mw,
    coremark_measured,
    coremark_priced,
    lenet_current_ma,
    long_run,
    measured,
)

PAGE = Path(__file__).with_name("FIDELITY.md")
BEGIN = "<!-- begin: python -m cycle_models.fidelity --write FIDELITY.md -->"
END = "<!-- end -->"


def coremark_error_percent(core: str, level: str) -> float | None:
    """Percent by which the recorded bill is off; None where none is recorded."""
    cycles = coremark_priced(load_core(core), level)
    return (
        None
        if cycles is None
        else 100 * (cycles / statistics.mean(coremark_measured(core, level)) - 1)
    )


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
        found = {level: coremark_error_percent(name, level) for level in LEVELS}
        errors = {level: e for level, e in found.items() if e is not None}
        if not errors:
            continue
        mean = statistics.mean(abs(errors[k]) for k in LEVELS[2:] if k in errors)
        use = "seen, not fitted" if name == "m33" else "calibration"
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
        errors = [
            100
            * (
                lenet_current_ma(name, int(r["clock_hz"]), r["workload"]) / float(r["current_ma"])
                - 1
            )
            for r in rows
            if r["chip"] == name
        ]
        lines.append(_error_line(name, errors, "ZIP-CNN LeNet, supply current"))
    rows = measured("board_power.csv")
    for name, what, mine in (
        ("RP2040", "", [r for r in rows if r["chip"] == "RP2040"]),
        ("nRF52840", ", over 40 ms", [r for r in rows if r["chip"] == "nRF52840" and long_run(r)]),
        (
            "nRF52840",
            ", under 25 ms",
            [r for r in rows if r["chip"] == "nRF52840" and not long_run(r)],
        ),
    ):
        power = board_power_mw(name, int(mine[0]["clock_hz"]))
        errors = [100 * (power / float(r["power_mw"]) - 1) for r in mine]
        lines.append(
            _error_line(name, errors, f"Deutel et al. LeNet, power of the whole board{what}")
        )
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


FLASH_DATA = """\
### What the data side of the flash rests on

Weights that are read once from flash test these rules more than code does. No figure of theirs is fitted to a network.

| parts | rule | rests on |
|---|---|---|
| STM32G0 | no data cache: every data read takes the wait states, in turn with the fetches on the one bus | manual \
(RM0490 4.3.3, whose interface is the same; RM0444 recalled); order of data and prefetch assumed |
| STM32L4, L4+, F2, F4 | a miss reads 64 bits (L4, dual bank), 128 bits (single bank, F2, F4), and only these are kept; 8 \
lines, least recently used; no prefetch of data; a data read goes before waiting fetches, but not into one that runs | manual \
(RM0440 3.3.4 and RM0090 3.5.2, word by word); that a running read is not broken off: assumed, and chosen \
because one published kws firmware is 2 % further off without it |
| nRF52840 | the cache keeps instructions only: every data read takes two wait states | nrfx loops without cache; product \
specification, recalled |
| STM32U5 | ICACHE keeps data too; the flash reads the next 128 bits ahead behind every refill; two cycles of cache and bus for \
each refill | manual of a later STM32 with the same core, ICACHE and prefetch (it reduces the refill latency of ICACHE, for instructions \
and constants); RM0456 recalled; the two cycles are assumed; no Cortex-M33 firmware was ever run |
| STM32F7, H7 | line fills of 32 bytes over AXI, critical word first, no prefetch; a flash word has 256 bits (H743) or 128 \
(H7A3: a line takes two reads) | caches and words: manuals; what a miss costs beside the wait states: estimate, no public \
figure, interval 0.5 to 1.5 |
| RP2040 | XIP cache for both; 40 to 52 cycles for each 4 bytes that it lacks | measured by others (pico-feedback 307, Klipper) |

"""

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
| M7: unaligned load | jnk0le: 3 in the older slot, 4 in the younger or both | 3, up to 4 in the \
interval; needs addresses, so only the memory mode charges it |
| RP2040: SIO divider | pico-sdk: eight cycles, read on the ninth | the divider stalls nobody: the eight \
cycles are the instructions with which the software waits, and an earlier read would be wrong, not slow |
| M7: DSP in the younger slot | LLVM: allowed; jnk0le: older slot only | jnk0le: firmware of ST and \
Bosch is 5 to 7 % too fast otherwise |
| M4 of i.MX RT1170 | CoreMark at a nominal 400 MHz is 1.8 % below RT1160's per MHz | its PLL makes \
392.7 MHz; with that the two agree to 0.1 % |
"""


def summary() -> str:
    """The table of errors per core and memory, for the root's FIDELITY.md."""
    lines = [
        "| core | memory | held against | rows | mean abs. % | worst % | rows are |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for name in ("m4", "m7", "m33"):
        use = "seen, not fitted" if name == "m33" else "calibration"
        for what, levels in (("-O1, -Os, -O2, -O3", LEVELS[2:]), ("-O0, -Og", LEVELS[:2])):
            found = [
                abs(e)
                for e in (coremark_error_percent(name, level) for level in levels)
                if e is not None
            ]
            cells = _cells(load_core(name).title, "TCM", f"CoreMark {what}, GCC 12", found)
            lines.append(f"{cells} | {use} |")
    for name, errors in sorted(_firmware_errors().items(), key=lambda e: load_chip(e[0]).core):
        chip = load_chip(name)
        memory = f"{name}: {chip.description.partition(': ')[2]}"
        cells = _cells(
            load_core(chip.core).title, memory, "MLPerf Tiny kws and ic firmware", errors
        )
        lines.append(f"{cells} | calibration |")
    return "\n".join(lines) + "\n"


def _cells(core: str, memory: str, what: str, errors: list[float]) -> str:
    mean, worst = statistics.mean(errors), max(errors)
    return f"| {core} | {memory} | {what} | {len(errors)} | {mean:.1f} | {worst:.1f}"


def _firmware_errors() -> dict[str, list[float]]:
    """Absolute errors in percent, with memories, by chip."""
    found: dict[str, list[float]] = {}
    for row in measured("mlperf_firmware.csv"):
        error = 100 * (int(row["modelled_memory"]) / int(row["measured_cycles"]) - 1)
        found.setdefault(row["chip"], []).append(abs(error))
    return found


def with_summary(page: str) -> str:
    """`page` with the current table between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{summary()}{END}{after}"


def fragment() -> str:
    """The page of this package: all tables that the models' own data determine."""
    parts = [
        "<!-- written by: python -m cycle_models.fidelity -->",
        "### CoreMark, GCC 12, code and data in TCM (error of modelled cycles, %)",
        "",
        *coremark_table(),
        "",
        "Calibration rows were looked at while the rules were written. The Cortex-M33's were not worked",
        "on: no rule or figure of that core was fitted to them or changed because of them. But their",
        "errors were on the screen while the rules of the other cores were written, so they are not blind.",
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
        "A float instruction's share of the F446's and L496's current is fitted to the same rows; the",
        "F446's ratio of float to int8 current rises with the clock, from 0.90 to 1.07, which the fit",
        "does not follow. Other classes of instruction are not told apart by any published figure.",
        "",
        "The nRF52840 rows measure a board that takes 132 mW beside a chip that takes 10 mW. Runs of",
        "40 ms and more agree on that within 1 %. Runs of 19 to 23 ms read 82 to 105 mW, less than",
        "the board idles at by that account: as if the averaging window were longer than the run.",
        "The board's share is fitted to the long runs (`[energy.board]`) and no part of a chip's energy.",
        "",
        FLASH_DATA,
        "### Rules that are assumed",
        "",
        *assumed_table(),
        "",
        CONTRADICTIONS,
    ]
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, or write them where they belong."""
    parser = argparse.ArgumentParser(prog="python -m cycle_models.fidelity", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FIDELITY.md", help="update both pages")
    page: Path | None = parser.parse_args(arguments).write
    if page is None:
        print(fragment(), end="")
        return
    page.write_text(with_summary(page.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(fragment(), encoding="utf-8")


if __name__ == "__main__":
    main()
