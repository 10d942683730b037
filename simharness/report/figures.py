# SPDX-License-Identifier: MIT
"""How figures are spelled for people, the same in every view."""

from __future__ import annotations

import re

from simharness.report.model import (
    Check,
    Cycles,
    Fit,
    Interval,
    MemoryFit,
    Placement,
    Report,
    Sanitizer,
)


def count(value: int) -> str:
    """12345678 as "12,345,678"."""
    return f"{value:,}"


def size(value: int) -> str:
    """Bytes exactly, with the KiB beside them from 1 KiB on."""
    return f"{value:,} B" if value < 1024 else f"{value:,} B ({value / 1024:.1f} KiB)"


def hertz(value: int) -> str:
    """180000000 as "180 MHz"."""
    for unit, factor in (("MHz", 1_000_000), ("kHz", 1000)):
        if value >= factor:
            return f"{value / factor:.10g} {unit}"
    return f"{value} Hz"


def number(value: float) -> str:
    """A figure with as many digits as a person wants of it."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def cycles(value: Cycles) -> str:
    """The middle, and the interval behind it."""
    return spread(count(value.mid), count(value.low), count(value.high))


def interval(value: Interval) -> str:
    """The middle, and the interval behind it."""
    return spread(number(value.mid), number(value.low), number(value.high))


def spread(mid: str, low: str, high: str) -> str:
    return mid if low == mid == high else f"{mid}  ({low} to {high})"


def shape(value: tuple[int, ...]) -> str:
    """(1, 8, 8, 64) as "1x8x8x64"."""
    return "x".join(map(str, value)) or "-"


def ends(value: Interval) -> str:
    """The interval alone."""
    return f"{number(value.low)} to {number(value.high)}"


def brief(name: str, width: int = 36) -> str:
    """A layer's name for narrow places: of names that a converter has joined with ";" the last,
    without what TensorFlow calls a layer's weights; what is too long without its middle.
    """
    last = name.rpartition(";")[2].removesuffix("_prequant")
    last = re.sub(r"(/BiasAdd)?/ReadVariableOp/resource\d*$", "", last) or name
    if len(last) <= width:
        return last
    half = width // 2
    return f"{last[: width - half - 1]}…{last[-half:]}"


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def verdict(report: Report) -> str:
    """The one line that says it all."""
    found = report.results
    name = f"{report.model} on {report.board.name} (Cortex-{core_title(report.board.core)})"
    if report.options is None:
        return f"{'RAN' if found.fit.ok else 'DOES NOT FIT'}: {name}"
    if found.check is None:
        return f"DOES NOT FIT: {name}"
    if not found.check.ok:
        return f"WRONG: {name} computes something else than {found.check.reference}"
    if found.sanitizer and not found.sanitizer.ok:
        return f"WRONG MEMORY ACCESS: {name} touches memory that is not its own"
    if not found.fit.ok:
        return f"DOES NOT FIT: {name}; emulated on enlarged memories, outputs are right"
    return f"OK: {name}"


def flawless(report: Report) -> bool:
    """Whether every check passed and the program fits: a program emulated on enlarged memories can
    be right without fitting.
    """
    return report.ok and report.results.fit.ok


def core_title(core: str) -> str:
    """m0plus as "M0+"."""
    return core.upper().replace("PLUS", "+")


def fit(value: Fit) -> str:
    """Whether it fits; where not, what is missing, memory by memory."""
    if value.ok:
        return "fits"
    short = (
        f"{m.name} is short of {size(m.shortfall_bytes)}"
        for m in value.memories
        if m.shortfall_bytes
    )
    return "does not fit: " + "; ".join(short)


def used(value: Fit) -> tuple[MemoryFit, ...]:
    """The memories that hold something."""
    return tuple(m for m in value.memories if m.used_bytes)


def check(value: Check) -> str:
    """How far the outputs are from the reference's."""
    samples = f"{value.samples} sample{'s' if value.samples != 1 else ''}"
    if value.max_lsb is not None:
        worst = f"{value.max_lsb} LSB"
    elif value.max_abs is not None:
        worst = f"{number(value.max_abs)}"
        if value.max_relative is not None:
            worst += f" ({value.max_relative:.2g} of the largest output)"
    else:
        worst = "unknown"
    return f"largest difference from {value.reference}: {worst}, over {samples}"


def divergence(value: Check) -> str:
    """Where it first went wrong, for a person to look at; empty when it did not."""
    d = value.divergence
    if d is None:
        return ""
    text = (
        f"first diverging layer: {d.layer} ({d.op}), tensor {d.tensor}, sample {d.sample}, "
        f"index {list(d.index)}: ours {number(d.ours)}, reference {number(d.reference)}"
    )
    return text if d.accumulator is None else f"{text}, accumulator {d.accumulator}"


def sanitizer(found: Sanitizer) -> str:
    """What a clean watch saw."""
    idle = size(found.untouched_bytes) if found.untouched_bytes else "none"
    return f"sanitizer: no wrong memory access; planned bytes never touched: {idle}"


def violations(found: Sanitizer | None) -> list[str]:
    """A line per cause: layer, tensor, byte, symbol and address."""
    return [
        f"sanitizer: layer {v.layer} {v.what}: {v.tensor or 'no tensor'} byte {v.offset} at "
        f"{v.address:#010x}"
        + (f", which holds {v.holds}" if v.holds and v.holds != v.tensor else "")
        + (f", by {v.symbol} ({v.pc:#010x})" if v.symbol else "")
        + f", {v.count} times"
        for v in (found.violations if found else ())
    ]


def placement(found: Placement) -> str:
    """Which memory holds what."""
    return ", ".join(f"{kind} {memory}" for kind in _KINDS if (memory := getattr(found, kind)))


_KINDS = ("code", "weights", "data", "arena", "stack")
