# SPDX-License-Identifier: MIT
"""Arenas of published networks on Cortex-M4 and their cost: `python benchmarks/arena.py FOLDER`.

For each network the default program, the one of `--optimize speed` (which copies hot weights to
RAM) without and under a limit, one under a limit without patches, and one with patches: arena
with scratch, instructions (counted), cycles (modelled, STM32F446), multiplications done twice, the
difference from ONNX Runtime, and the sanitizer's verdict. Exit code 1 when an arena is above its
limit, an output differs, or the sanitizer complains.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simharness
from simharness.errors import SimharnessError


@dataclass(frozen=True, slots=True)
class Row:
    """One program: at most `limit_bytes`, in the manner of `options`."""

    network: str
    manner: str
    limit_bytes: int | None
    options: dict[str, Any]


def _rows(network: str, most: int, smaller: int | None, patched: int | None) -> list[Row]:
    """At most so many bytes by default; under a limit, with other kernels alone and patches too."""
    rows = [
        Row(network, "default", most, {}),
        Row(network, "speed", None, {"optimize": "speed"}),
        Row(network, "speed, limit", most, {"optimize": "speed", "ram_limit_bytes": most}),
    ]
    if smaller is not None:
        options = {"ram_limit_bytes": smaller, "patches": "off"}
        rows.append(Row(network, "limit, no patches", smaller, options))
    if patched is not None:
        rows.append(Row(network, "limit", patched, {"ram_limit_bytes": patched}))
    return rows


ROWS = (
    *_rows("mlperf_ic_resnet8_int8", 36_000, None, 20_000),
    *_rows("mlperf_vww_mbv1_int8", 40_000, 37_500, 24_000),
    *_rows("mlperf_kws_dscnn_int8", 9_500, None, None),
    *_rows("mcunet_in3_int8", 240_000, 190_000, 130_000),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", type=Path, help="the folder of the published networks")
    parser.add_argument("--only", default="", metavar="TEXT", help="networks with this in the name")
    parser.add_argument("--choices", action="store_true", help="also what was chosen for memory")
    arguments = parser.parse_args()
    print(
        f"{'network':23} {'program':18} {'limit':>7} {'arena':>7} {'scratch':>7} "
        f"{'instructions':>12} {'cycles':>12} {'':>7} {'macs twice':>10} {'LSB':>3} sanitizer"
    )
    held = True
    default_cycles = 0
    for row in ROWS:
        if arguments.only in row.network:
            default_cycles = default_cycles if row.manner != "default" else 0
            ok, default_cycles = _line(row, arguments.models, default_cycles, arguments.choices)
            held &= ok
    return int(not held)


def _line(row: Row, folder: Path, default_cycles: int, choices: bool) -> tuple[bool, int]:
    """Print one; whether it holds, and the default program's cycles."""
    limit = f"{row.limit_bytes:7d}" if row.limit_bytes else f"{'':7}"
    try:
        report = simharness.run(
            folder / f"{row.network}.onnx",
            core="m4", samples=1, sanitize=True, emulate_anyway=True, **row.options,
        )  # fmt: skip
    except SimharnessError as error:
        print(f"{row.network:23} {row.manner:18} {limit} {str(error).splitlines()[0]}", flush=True)
        return False, default_cycles
    found = report.results
    if not (found.cycles and found.check and found.sanitizer and found.plan and found.instructions):
        raise SystemExit(f"{row.network}: nothing was timed, checked or watched")
    default_cycles = default_cycles or found.cycles.mid
    change = 100 * (found.cycles.mid / default_cycles - 1)
    arena = found.memory.arena_bytes
    clean = "clean" if found.sanitizer.ok else f"{len(found.sanitizer.violations)} violations"
    twice = sum(choice.extra_macs for choice in found.plan.choices)
    print(
        f"{row.network:23} {row.manner:18} {limit} {arena:7d} {found.memory.scratch_bytes:7d} "
        f"{found.instructions:12,} {found.cycles.mid:12,} {change:+6.1f}% {twice:10,} "
        f"{found.check.max_lsb!s:>3} {clean}",
        flush=True,
    )
    for choice in found.plan.choices if choices else ():
        print(f"    {choice.detail}, {choice.where[:40]}: {choice.extra_instructions:+,}")
    fits = row.limit_bytes is None or arena <= row.limit_bytes
    return fits and found.check.max_lsb == 0 and found.sanitizer.ok, default_cycles


if __name__ == "__main__":
    sys.exit(main())
