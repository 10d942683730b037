# SPDX-License-Identifier: MIT
"""Modelled cycles of a network by placement: `python benchmarks/placement.py MODEL.onnx`."""

from __future__ import annotations

import argparse
from pathlib import Path

import simharness
from simharness.errors import UsageError

PLACEMENTS = {
    "STM32F746": (
        "", "code=flash_itcm", "code=itcm", "arena=dtcm", "code=itcm,arena=dtcm", "weights=sram",
        "code=itcm,weights=sram,arena=dtcm", "code=sram,weights=sram", "arena=sdram",
        "weights=qspi", "weights=qspi,arena=sdram", "arena=itcm+sram", "arena=sram+itcm",
        "arena=dtcm+sram,data=sdram,stack=dtcm",
    ),
    "STM32H7A3": (
        "", "code=itcm", "arena=dtcm", "arena=sram_cd", "weights=sram",
        "weights=dtcm", "code=itcm,weights=dtcm", "code=itcm,arena=dtcm",
        "code=itcm,weights=sram,arena=dtcm",
    ),
    "STM32F407": ("", "arena=ccm+sram", "arena=sram", "weights=sram"),
    "RP2040": ("", "code=sram", "weights=sram", "code=sram,weights=sram", "arena=scratch_x+sram"),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="for instance mlperf_ic_resnet8_int8.onnx")
    parser.add_argument("--optimize", default="size")
    parser.add_argument("--board", action="append", choices=PLACEMENTS, help="default: all")
    given = parser.parse_args()
    print(f"{'board':10s} {'--place':38s} {'cycles':>12s} {'low':>12s} {'high':>12s}  stalls")
    for board in given.board or PLACEMENTS:
        for place in PLACEMENTS[board]:
            try:
                report = simharness.run(
                    given.model, board=board, place=place, optimize=given.optimize, samples=1
                )
            except UsageError as error:
                print(f"{board:10s} {place:38s} {error}", flush=True)
                continue
            found = report.results
            if not report.ok or found.cycles is None or found.timing is None:
                print(f"{board:10s} {place:38s} does not fit", flush=True)
                continue
            c, parts = found.cycles, found.timing.parts
            stalls = ", ".join(
                f"{name} {parts[name]:,}"
                for name in ("fetch_stalls", "data_stalls", "external")
                if parts.get(name)
            )
            banks = found.plan.banks if found.plan else ()
            pieces = "".join(f"; {b.used_bytes:,} B in {b.name}" for b in banks)
            print(
                f"{board:10s} {place or '(the board)':38s} {c.mid:12,} {c.low:12,} {c.high:12,}  "
                f"{stalls or 'none'}{pieces}",
                flush=True,
            )


if __name__ == "__main__":
    main()
