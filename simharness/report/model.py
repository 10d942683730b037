# SPDX-License-Identifier: MIT
"""The report as frozen values: what every command shows and every export is a view of.

The JSON form has the same names (`simharness/schema/report.schema.json`); a key that is absent
there is None here and means "not known from this run". Units are in the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from simharness.report.memory_model import (
    Alternative,
    Bank,
    Choice,
    Count,
    Fit,
    Fraction,
    Memory,
    MemoryFit,
    Placed,
    Placement,
    Plan,
    Sanitizer,
    ScratchUse,
    Violation,
)

__all__ = [
    "RUN_LAYER", "SCHEMA_VERSION", "Alternative", "Average", "Bank", "Board", "Check", "Choice",
    "Cycles", "Divergence", "Engine", "Fit", "InputFile", "Interval", "Layer", "Memory",
    "MemoryFit", "Options", "Placed", "Placement", "Plan", "Removed", "Report", "Results",
    "Sanitizer", "ScratchUse", "Source", "Supply", "Timing", "Toolchain", "Violation",
]  # fmt: skip

SCHEMA_VERSION = 1

RUN_LAYER = "(run)"
"""The report's last layer: the function that calls the others, and what starts it."""

Source = Literal["counted", "modelled", "measured"]
"""Where a figure comes from: executed instructions, a model of the machine, a real board."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """Core cycles: believed to lie in `low`..`high`, most likely `mid`."""

    low: Count
    mid: Count
    high: Count


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure in the unit of its key: believed to lie in `low`..`high`, most likely `mid`."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that the figures rest on. `path` is relative, as given, or a shipped name."""

    role: Literal["model", "samples", "core", "board", "elf", "contract"]
    path: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, as far as it changes the figures."""

    optimize: str
    requant: str
    planner: str
    reference_kernels: bool
    samples: Count
    seed: int
    budget: Count
    patches: str = "off"
    ram_limit_bytes: Count | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Who compiled, with which exact version line and flags."""

    name: str
    version: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Engine:
    """Who ran the program. `fidelity` is functional, counted, timed or measured."""

    name: str
    version: str
    fidelity: str


@dataclass(frozen=True, slots=True)
class Board:
    """The machine that the figures are for."""

    name: str
    core: str
    clock_hz: Count
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first layer whose result differs from the reference, at its first wrong element.

    `accumulator` is the reference's int32 sum before requantization, where the operator has one.
    """

    layer: str
    op: str
    tensor: str
    index: tuple[int, ...]
    ours: float
    reference: float
    sample: Count
    accumulator: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Our outputs against the reference's, over all samples.

    `max_lsb` is the largest difference of quantized outputs, in steps of their scale where they
    were dequantized at the end; None for outputs that were computed in float. `max_abs` is that of
    float outputs and `max_relative` the same as a share of the largest reference output.
    """

    ok: bool
    reference: str
    samples: Count
    elements: Count
    mismatches: Count
    max_lsb: int | None = None
    max_abs: float | None = None
    max_relative: float | None = None
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """What the cycles are made of.

    `mode` names what was modelled ("zero-wait": memories answer at once; "memory": wait states,
    caches and buses too). `parts` are mid cycles by cause; `mix` counts instructions by class;
    `assumed_share` is the share of the cycles that rests on assumed figures.
    """

    mode: str
    parts: Mapping[str, Count]
    mix: Mapping[str, Count]
    assumed_share: Fraction


@dataclass(frozen=True, slots=True)
class Supply:
    """What the energy rests on: the supply current at this clock with code running from `condition`
    (flash or sram), where that figure comes from and how sure it is.
    """

    power_mw: Interval
    supply_v: float
    condition: str
    source: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer function, or "(run)": the function that calls them and starts the model.

    `symbol` is its C name, `origin` the ONNX nodes it came from, `shape` its first output's.
    `share` is its part of all cycles (of all instructions where no cycles are known).
    `text_bytes` is its own code, `weights_bytes` its const tables; a table that several layers read
    counts for the first.
    """

    name: str
    op: str
    kernel: str
    symbol: str
    origin: tuple[str, ...]
    shape: tuple[int, ...]
    macs: Count
    instructions: Count | None = None
    cycles: Cycles | None = None
    share: Fraction | None = None
    output_bytes: Count
    scratch_bytes: Count
    text_bytes: Count
    weights_bytes: Count
    energy_uj: Interval | None = None
    parts: Mapping[str, Count] | None = None
    mix: Mapping[str, Count] | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What the generator left out because no output can depend on it: channels that are constant
    or never read. The published MACs of a network are `results.macs` plus these.
    """

    channels: Count
    macs: Count
    weights_bytes: Count


@dataclass(frozen=True, slots=True)
class Average:
    """Power averaged over runs that start every `period_s`, the chip stopped in between.

    `active_share` of the time it runs; else it takes `idle_ma`. `battery_hours` is how long
    `battery_mah` last, self-discharge ignored.
    """

    period_s: float
    active_share: Fraction
    average_mw: Interval
    idle_ma: float
    idle_status: str
    battery_mah: float | None = None
    battery_hours: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The figures. `sources` says for each of them where it comes from.

    `ok`: the program ran, on the board's memories or as asked on larger ones, and its outputs are
    right. `macs` are those executed, the sum over layers; `removed` is what never reaches the C.
    """

    ok: bool
    fit: Fit
    check: Check | None = None
    instructions: Count | None = None
    cycles: Cycles | None = None
    time_ms: Interval | None = None
    energy_uj: Interval | None = None
    macs: Count
    removed: Removed
    memory: Memory
    placement: Placement | None = None
    plan: Plan | None = None
    timing: Timing | None = None
    supply: Supply | None = None
    average: Average | None = None
    sanitizer: Sanitizer | None = None
    layers: tuple[Layer, ...]
    sources: Mapping[str, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything about one run of one program on one machine. No dates, no absolute paths.

    A firmware of somebody else's has no `options`, no check, no plan, and functions for layers.
    """

    schema_version: int
    tool: str
    model: str
    inputs: tuple[InputFile, ...]
    options: Options | None = None
    toolchain: Toolchain | None = None
    engine: Engine | None = None
    board: Board
    results: Results

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return self.results.ok
