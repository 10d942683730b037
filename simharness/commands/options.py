# SPDX-License-Identifier: MIT
"""Options that several commands share: which machine, which code."""

from __future__ import annotations

import argparse
import re

_UNITS = {"": 1, "hz": 1, "khz": 1_000, "k": 1_000, "mhz": 1_000_000, "m": 1_000_000}


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """--core, --board, --clock."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--core", metavar="NAME",
        help="m0plus, m3, m4, m7 or m33: stands for its default board (default: m4); "
        "see 'simharness cores'",
    )  # fmt: skip
    group.add_argument(
        "--board",
        metavar="NAME|FILE.toml",
        help="a chip by name, or your own; see 'simharness boards'",
    )
    group.add_argument(
        "--clock", metavar="HZ", type=frequency, dest="clock_hz",
        help="core clock, as 180MHz or 180000000 (default: the board's)",
    )  # fmt: skip


def add_place_option(parser: argparse.ArgumentParser) -> None:
    """--place."""
    parser.add_argument(
        "--place", metavar="KIND=MEMORY,...", default="",
        help="which memory of the board holds what, as code=itcm,weights=flash,arena=dtcm; kinds: "
        "code, weights, data, arena, stack; memories: 'simharness boards' (default: the board's)",
    )  # fmt: skip


def add_code_options(parser: argparse.ArgumentParser) -> None:
    """How the C is generated."""
    group = parser.add_argument_group("generated code")
    group.add_argument(
        "--optimize", choices=("speed", "size", "balanced"), default="balanced",
        help="kernels and compiler flags (default: balanced)",
    )  # fmt: skip
    group.add_argument(
        "--requant", choices=("exact", "fast"), default="exact",
        help="exact: as ONNX Runtime to the bit (default); fast: within 1 LSB",
    )  # fmt: skip
    group.add_argument(
        "--planner", choices=("auto", "first_fit", "greedy_by_size", "exact"), default="auto",
        help="how the arena is packed (default: auto, the lowest of all)",
    )  # fmt: skip
    group.add_argument(
        "--patches", metavar="auto|off|RxC",
        help="run the early layers tile by tile, in R rows and C columns: less RAM, more work "
        "(default: auto under --ram-limit, else off)",
    )  # fmt: skip
    group.add_argument(
        "--ram-limit", metavar="BYTES", type=size, dest="ram_limit_bytes",
        help="the cheapest program whose arena fits, as 64k or 65536: other kernels where that "
        "saves RAM, and patches",
    )  # fmt: skip
    group.add_argument(
        "--reference-kernels", action="store_true", help="the plain C references only"
    )


def frequency(text: str) -> int:
    """Hertz from "180MHz", "32.768 kHz" or "180000000"."""
    match = re.fullmatch(r"\s*([0-9]+(?:[._][0-9]+)*)\s*([a-zA-Z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        raise argparse.ArgumentTypeError(f"not a frequency: {text!r} (write 180MHz or 180000000)")
    try:
        return round(float(match[1]) * _UNITS[match[2].lower()])
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a frequency: {text!r}") from None


def size(text: str) -> int:
    """Bytes from "64k", "1.5M" or "65536"; k and M are powers of 1024."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmM]?)(?:i?[bB])?", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (write 64k or 65536)")
    return int(float(match[1]) * {"": 1, "k": 1024, "m": 1024**2}[match[2].lower()])


def positive(text: str) -> int:
    """An integer of one or more."""
    try:
        value = int(text.replace("_", ""))
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"not a positive whole number: {text!r}")
    return value


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    """--period, --duty, --battery."""
    group = parser.add_argument_group("average power")
    group.add_argument(
        "--period", type=seconds, dest="period_s", metavar="TIME",
        help="a run starts every TIME (1s, 200ms), the chip stops in between: report average power",
    )  # fmt: skip
    group.add_argument(
        "--duty", type=share, metavar="SHARE",
        help="the same, given the share of time that runs take (1%% or 0.01)",
    )  # fmt: skip
    group.add_argument(
        "--battery", type=float, dest="battery_mah", metavar="MAH",
        help="capacity in mAh: report how long it lasts",
    )  # fmt: skip


def seconds(text: str) -> float:
    """A time with its unit, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|ms|us)", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 1s, 200ms or 50us")
    return float(found[1]) * {"s": 1.0, "ms": 1e-3, "us": 1e-6}[found[2]]


def share(text: str) -> float:
    """A share of 1, in percent or as a fraction."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of the time; write 1% or 0.01")
    return value
