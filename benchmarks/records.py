# SPDX-License-Identifier: MIT
"""Modelled cycles per MAC beside published records: `python benchmarks/records.py MODELS_FOLDER`.

The records are measured on boards (MLPerf Tiny, closed division): X-CUBE-AI on NUCLEO-L4R5ZI, Bosch
on NUCLEO-H7A3ZI and NUCLEO-G0B1RE, at the clocks below. Ours are modelled for the same chips and
clocks, flash and caches included, per MAC of the network as published. A fully connected network
reads each weight once, so flash limits it: where the chip has the RAM, it is timed from there too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import simharness

MACS = {"ic_resnet8": 12_501_632, "kws_dscnn": 2_656_768, "vww_mbv1": 7_489_664, "ad_fcae": 264_192}
BOARDS = (
    ("STM32L4R5", 120_000_000, (1.585, 1.951, 1.425, 1.84)),
    ("STM32H7A3", 280_000_000, (0.915, 1.193, 0.89, 1.148)),
    ("STM32G0B1", 64_000_000, (7.79, 11.43, 12.08, 9.91)),
)
IN_RAM = ("STM32L4R5", "STM32H7A3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="the folder of mlperf_*_int8.onnx")
    folder = parser.parse_args().models
    print(
        f"{'board':10s} {'network':11s} {'record':>7s} {'ours':>7s} {'low':>7s} {'high':>7s}  parts"
    )
    for board, clock_hz, records in BOARDS:
        rows = [(network, record, "") for network, record in zip(MACS, records, strict=True)]
        if board in IN_RAM:
            rows.append(("ad_fcae", records[-1], "weights=sram"))
        for network, record, place in rows:
            report = simharness.run(
                folder / f"mlperf_{network}_int8.onnx",
                board=board, clock_hz=clock_hz, optimize="speed", samples=1, place=place,
            )  # fmt: skip
            cycles, timing = report.results.cycles, report.results.timing
            if not report.ok or cycles is None or timing is None:
                raise SystemExit(f"{network} on {board}: no right result to time")
            macs = MACS[network]
            parts = ", ".join(f"{k} {v / macs:.3f}" for k, v in timing.parts.items() if v)
            figures = " ".join(f"{c / macs:7.3f}" for c in (cycles.mid, cycles.low, cycles.high))
            print(f"{board:10s} {network:11s} {record:7.3f} {figures}  {place} {parts}", flush=True)


if __name__ == "__main__":
    main()
