# SPDX-License-Identifier: MIT
"""Two reports of one network side by side: what got worse, by how much, and in which layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from simharness.errors import UsageError
from simharness.report.figures import brief, number
from simharness.report.model import Layer, Options, Report, Results

Status = Literal["worse", "within", "same", "better", "new", "gone"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse a figure may get: `limit` in its unit, or as a fraction when `relative`."""

    limit: float
    relative: bool

    def allows(self, base: float, head: float) -> bool:
        room = self.limit * abs(base) if self.relative else self.limit
        return head - base <= room

    def __str__(self) -> str:
        return f"{100 * self.limit:g}%" if self.relative else f"{self.limit:g}"


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure in both reports; None where a report has none. `gate` is None when not gated."""

    metric: str
    unit: str
    base: float | None
    head: float | None
    gate: Tolerance | None
    status: Status

    @property
    def change(self) -> float | None:
        """Head minus base."""
        return None if self.base is None or self.head is None else self.head - self.base

    @property
    def relative(self) -> float | None:
        """The change as a fraction of the base; None where that is nothing to divide by."""
        return self.change / abs(self.base) if self.change is not None and self.base else None


@dataclass(frozen=True, slots=True)
class LayerDelta:
    """A layer in both reports: cycles (instructions where no cycles are known), bytes of flash, and
    bytes of RAM that it works on: outputs and scratch.
    """

    name: str
    op: str
    cycles: Delta
    flash: Delta
    room: Delta

    @property
    def growth(self) -> float:
        """Cycles more than before; a layer that only one report has counts whole."""
        return (self.cycles.head or 0.0) - (self.cycles.base or 0.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ok`: no gated figure got worse than allowed. `notes`: what else differs between the two."""

    model: str
    board: str
    ok: bool
    deltas: tuple[Delta, ...]
    layers: tuple[LayerDelta, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """A gated figure: its name in `--fail`, its unit, and how to find it."""

    name: str
    unit: str
    of: Callable[[Results], float | None]


METRICS: tuple[Metric, ...] = (
    Metric("cycles", "", lambda r: r.cycles.mid if r.cycles else None),
    Metric("time", "ms", lambda r: r.time_ms.mid if r.time_ms else None),
    Metric("energy", "uJ", lambda r: r.energy_uj.mid if r.energy_uj else None),
    Metric("instructions", "", lambda r: r.instructions),
    Metric("flash", "B", lambda r: r.memory.flash_bytes),
    Metric("text", "B", lambda r: r.memory.text_bytes),
    Metric("weights", "B", lambda r: r.memory.weights_bytes),
    Metric("arena", "B", lambda r: r.memory.arena_bytes),
    Metric("scratch", "B", lambda r: r.memory.scratch_bytes),
    Metric("stack", "B", lambda r: r.memory.stack_bytes),
    Metric("lsb", "", lambda r: r.check.max_lsb if r.check else None),
)
"""In each of them less is better. The check's verdict and the fit are gated always."""

NAMES = tuple(m.name for m in METRICS)
EXACT: Mapping[str, Tolerance] = {name: Tolerance(0.0, False) for name in NAMES}
"""Nothing may get worse at all: figures are deterministic, so this is no pedantry."""


def tolerances(text: str) -> dict[str, Tolerance]:
    """The gates in "cycles:0%,arena:0,energy:1%". Raises UsageError, listing the metrics."""
    found: dict[str, Tolerance] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"(\w+)\s*:\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)", part)
        if match is None:
            raise UsageError(f"not a tolerance: {part!r}; write metric:number or metric:number%")
        if match[1] not in NAMES:
            raise UsageError(f"unknown metric {match[1]!r}; known are {', '.join(NAMES)}")
        number, relative = float(match[2]), match[3] == "%"
        found[match[1]] = Tolerance(number / 100 if relative else number, relative)
    return found


def compare(
    base: Report, head: Report, gates: Mapping[str, Tolerance] = EXACT, *, anyway: bool = False
) -> Comparison:
    """Head against base, worst first; `gates` names the figures that must not get worse.

    A gated figure that the base has and the head lacks is a failure; one that only the head has is
    new. Raises UsageError for reports of different networks or machines, unless `anyway`.
    """
    if not anyway:
        _same_subject(base, head)
    deltas = sorted(
        (_delta(m.name, m.unit, m.of(base.results), m.of(head.results), gates.get(m.name))
         for m in METRICS if (m.of(base.results), m.of(head.results)) != (None, None)),
        key=_worst_first,
    )  # fmt: skip
    layers = _layers(base, head)
    failed = [d for d in deltas if _failed(d)]
    failures = [*_verdicts(base, head), *(_failure(d) + _blame(d, layers) for d in failed)]
    return Comparison(
        model=head.model,
        board=head.board.name,
        ok=not failures,
        deltas=tuple(deltas),
        layers=layers,
        notes=tuple(_notes(base, head)),
        failures=tuple(failures),
    )


def _same_subject(base: Report, head: Report) -> None:
    """Different file contents under one name are one network that changed; else names count."""
    hashes = [
        next((i.sha256 for i in r.inputs if i.role in ("model", "elf")), "") for r in (base, head)
    ]
    if hashes[0] != hashes[1] and base.model != head.model:
        raise UsageError(
            f"these are reports of different networks: {base.model} and {head.model}; "
            "add --anyway to compare them all the same"
        )
    machines = [f"{r.board.name} at {r.board.clock_hz} Hz" for r in (base, head)]
    if machines[0] != machines[1]:
        raise UsageError(
            f"these are reports for different machines: {machines[0]} and {machines[1]}; "
            "add --anyway to compare them all the same"
        )


def _delta(
    metric: str, unit: str, base: float | None, head: float | None, gate: Tolerance | None
) -> Delta:
    status: Status
    if base is None or head is None:
        status = "new" if base is None else "gone"
    elif head == base:
        status = "same"
    elif head < base:
        status = "better"
    else:
        status = "within" if gate is None or gate.allows(base, head) else "worse"
    return Delta(metric, unit, base, head, gate, status)


def _failed(delta: Delta) -> bool:
    return delta.status == "worse" or (delta.status == "gone" and delta.gate is not None)


def _failure(delta: Delta) -> str:
    if delta.status == "gone":
        return f"{delta.metric} is missing from the new report"
    change, relative = delta.change or 0.0, delta.relative
    text = f"{delta.metric} got worse by {number(change)} {delta.unit}".rstrip()
    share = f" ({100 * relative:+.3g}%)" if relative is not None else ""
    return f"{text}{share}, allowed is {delta.gate}"


def _blame(delta: Delta, layers: tuple[LayerDelta, ...]) -> str:
    """The layer whose own figure of that kind grew most, in words; "" when none did."""
    parts = {
        "cycles": "cycles", "time": "cycles", "energy": "cycles", "instructions": "cycles",
        "flash": "flash", "text": "flash", "weights": "flash", "arena": "room", "scratch": "room",
    }  # fmt: skip
    part = parts.get(delta.metric)
    if part is None:
        return ""

    def grown(layer: LayerDelta) -> float:
        own: Delta = getattr(layer, part)
        return (own.head or 0.0) - (own.base or 0.0)

    worst = max(layers, key=grown, default=None)
    if worst is None or grown(worst) <= 0:
        return ""
    unit = "cycles" if part == "cycles" else "B"
    return f", most in layer {brief(worst.name)} ({grown(worst):+,.0f} {unit})"


def _verdicts(base: Report, head: Report) -> list[str]:
    found = []
    check = head.results.check
    if check is not None and not check.ok:
        where = check.divergence
        found.append(
            f"the outputs are wrong{f', first in layer {brief(where.layer)}' if where else ''}"
        )
    if base.results.check is not None and check is None:
        found.append("the new report has no check of the outputs")
    if base.results.fit.ok and not head.results.fit.ok:
        found.append("the program does not fit any more")
    return found


def _worst_first(delta: Delta) -> tuple[int, float]:
    order = {"worse": 0, "gone": 1, "within": 2, "new": 3, "better": 4, "same": 5}
    return order[delta.status], -abs(delta.relative or 0.0)


def _layers(base: Report, head: Report) -> tuple[LayerDelta, ...]:
    """The layers that differ, worst first: what grew most, then what shrank least."""
    old = {layer.name: layer for layer in base.results.layers}
    new = {layer.name: layer for layer in head.results.layers}
    found = [
        _layer_delta(name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])
    ]
    moved = [d for d in found if any(x.status != "same" for x in (d.cycles, d.flash, d.room))]
    return tuple(sorted(moved, key=lambda d: -d.growth))


def _layer_delta(name: str, old: Layer | None, new: Layer | None) -> LayerDelta:
    def both(metric: str, unit: str, of: Callable[[Layer], float | None]) -> Delta:
        base, head = of(old) if old else None, of(new) if new else None
        return _delta(metric, unit, base, head, Tolerance(0.0, False))

    op = (new or old).op  # type: ignore[union-attr]  # at least one report has the layer
    return LayerDelta(
        name,
        op,
        both("cycles", "", lambda y: y.cycles.mid if y.cycles else y.instructions),
        both("flash", "B", lambda y: y.text_bytes + y.weights_bytes),
        both("room", "B", lambda y: y.output_bytes + y.scratch_bytes),
    )


def _notes(base: Report, head: Report) -> list[str]:
    """What else differs: figures are only as comparable as this list is short."""
    pairs = (
        ("simharness", base.tool, head.tool),
        ("compiler", _tools(base), _tools(head)),
        ("engine", _engine(base), _engine(head)),
        ("timing mode", _mode(base), _mode(head)),
        ("machine", base.board.name, head.board.name),
        *((f.name.replace("_", " "), _option(base, f.name), _option(head, f.name))
          for f in fields(Options)),
    )  # fmt: skip
    notes = [f"{what} differs: {old}, now {new}" for what, old, new in pairs if old != new]
    old_files = {i.role: i.sha256 for i in base.inputs}
    notes += [
        f"the {i.role} file {i.path} has changed"
        for i in head.inputs
        if old_files.get(i.role, i.sha256) != i.sha256
    ]
    return notes


def _tools(report: Report) -> str:
    return report.toolchain.version if report.toolchain else "none"


def _engine(report: Report) -> str:
    return f"{report.engine.name} {report.engine.version}" if report.engine else "none"


def _mode(report: Report) -> str:
    return report.results.timing.mode if report.results.timing else "none"


def _option(report: Report, name: str) -> str:
    value = getattr(report.options, name, None)
    return "none" if value in (None, "") else str(value)
