# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML file: for people who would rather look than read.

Everything is drawn here; the page's script only adds reading by pointer and keyboard. Each picture
has its table behind it, and each figure carries the JSON key that it shows (`data-key`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from simharness.report import figures
from simharness.report.compare import Comparison
from simharness.report.comparison_views import LAYER_HEAD, METRIC_HEAD, layer_row, metric_row
from simharness.report.comparison_views import verdict as comparison_verdict
from simharness.report.model import RUN_LAYER, Interval, Layer, Placed, Report
from simharness.report.profiles import live_bytes
from simharness.report.serial import to_json
from simharness.report.terminal import LAYER_COLUMNS, summary
from simharness.report.terminal import layer_row as report_row

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=True,
)

PART_WORDS: Mapping[str, str] = {
    "issue": "issue",
    "load_use": "load-use",
    "refill": "pipeline refill",
    "fetch_stalls": "instruction fetch",
    "data_stalls": "data access",
    "external": "external memory",
}
_COLOURS = 8
_MAP_HEIGHT = 1000
_STEP_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure; `key` is where the JSON has its value."""

    title: str
    value: str
    unit: str
    spread: str
    key: str
    raw: float
    source: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A coloured piece of a bar, `percent` of the longest bar wide."""

    colour: int
    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    figure: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars under a legend of (colour, word)."""

    title: str
    note: str
    legend: tuple[tuple[int, str], ...]
    bars: tuple[Bar, ...]
    head: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A tensor on the arena map, in the picture's units."""

    x: int
    y: float
    width: int
    height: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class ArenaMap:
    title: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    live: str
    bound_y: float
    arena_bytes: int
    bound_bytes: int
    steps: int
    proven: bool


def render(report: Report, base: Report | None = None, against: Comparison | None = None) -> str:
    """The page; with `base`, and `against` it, it also shows what changed since."""
    r = report.results
    charts = (_cycles(r.layers), _mix(report), _energy(r.layers), _flash(r.layers))
    maps = [_arena_map(report, "Arena")] + ([_arena_map(base, "Arena before")] if base else [])
    return _TEMPLATES.get_template("report.html.j2").render(
        report=report,
        verdict=figures.verdict(report),
        fit=figures.fit(r.fit),
        check=figures.check(r.check) if r.check else "not checked: the program was not run",
        divergence=figures.divergence(r.check) if r.check else "",
        headline=_headline(report),
        memories=figures.used(r.fit),
        maps=[m for m in maps if m],
        records=r.plan.records if r.plan else (),
        charts=[c for c in charts if c],
        layer_columns=LAYER_COLUMNS,
        layer_rows=[report_row(i, y) for i, y in enumerate(r.layers)],
        summary=summary(report),
        against=against,
        against_verdict=comparison_verdict(against) if against else "",
        metric_head=METRIC_HEAD,
        metric_rows=[(d.status, metric_row(d)) for d in against.deltas] if against else [],
        moved_head=LAYER_HEAD,
        moved_rows=[layer_row(d) for d in against.layers] if against else [],
        size=figures.size,
        json=jinja2.filters.do_mark_safe(to_json(report).replace("<", "\\u003c")),
    )  # fmt: skip


def _headline(report: Report) -> list[Figure]:
    r = report.results
    kinds = r.sources
    found: list[Figure] = []

    def add(title: str, key: str, value: float | None, unit: str = "", spread: str = "") -> None:
        if value is not None:
            shown = figures.count(value) if isinstance(value, int) else figures.number(value)
            metric = key.split(".")[0]
            source = kinds.get(metric, "")
            found.append(Figure(title, shown, unit, spread, f"results.{key}", value, source))

    if r.time_ms:
        clock = figures.hertz(report.board.clock_hz)
        add(f"time at {clock}", "time_ms.mid", r.time_ms.mid, "ms", _ends(r.time_ms))
    if r.cycles:
        low, high = figures.count(r.cycles.low), figures.count(r.cycles.high)
        add("cycles", "cycles.mid", r.cycles.mid, "", f"{low} to {high}")
    if r.energy_uj:
        add("energy", "energy_uj.mid", r.energy_uj.mid, "µJ", _ends(r.energy_uj))
    add("instructions", "instructions", r.instructions)
    add("MACs", "macs", r.macs)
    add("flash", "memory.flash_bytes", r.memory.flash_bytes, "B")
    add("arena", "memory.arena_bytes", r.memory.arena_bytes, "B")
    add("stack", "memory.stack_bytes", r.memory.stack_bytes, "B")
    return found


def _ends(value: Interval) -> str:
    return f"{figures.number(value.low)} to {figures.number(value.high)}"


def _arena_map(report: Report, title: str) -> ArenaMap | None:
    """Address against time: one column per layer, addresses from the bottom up."""
    plan = report.results.plan
    if plan is None or not plan.arena_bytes:
        return None
    inside = [r for r in plan.records if r.memory == "arena" and r.size_bytes]
    steps = max((r.last for r in inside), default=0) + 1
    scale = _MAP_HEIGHT / plan.arena_bytes
    layers = [y.name for y in report.results.layers if y.name != RUN_LAYER]
    live = [live_bytes(report, step) for step in range(steps)]
    corners = [
        f"{x * _STEP_WIDTH},{_MAP_HEIGHT - bytes_ * scale:.1f}"
        for step, bytes_ in enumerate(live)
        for x in (step, step + 1)
    ]
    return ArenaMap(
        title=title,
        width=steps * _STEP_WIDTH,
        height=_MAP_HEIGHT,
        boxes=tuple(_box(r, scale, layers) for r in inside),
        live=" ".join(corners),
        bound_y=round(_MAP_HEIGHT - plan.lower_bound_bytes * scale, 1),
        arena_bytes=plan.arena_bytes,
        bound_bytes=plan.lower_bound_bytes,
        steps=steps,
        proven=plan.proven,
    )


def _box(r: Placed, scale: float, layers: list[str]) -> Box:
    kind = "scratch" if r.scratch else "alias" if r.alias else "tensor"
    first = max(r.first, 0)
    words = {"scratch": "scratch of ", "alias": f"view of {r.alias}: ", "tensor": ""}[kind]
    until = layers[r.last] if 0 <= r.last < len(layers) else "the end"
    since = layers[first] if first < len(layers) else "the start"
    where = f"{figures.size(r.size_bytes)} at {r.offset}, from {since} to {until}"
    return Box(
        x=first * _STEP_WIDTH,
        y=round(_MAP_HEIGHT - (r.offset + r.size_bytes) * scale, 1),
        width=(r.last - first + 1) * _STEP_WIDTH,
        height=round(r.size_bytes * scale, 1),
        kind=kind,
        label=f"{words}{r.tensor}: {where}",
    )


def _bars(rows: list[tuple[str, str, list[tuple[int, str, float]]]]) -> tuple[Bar, ...]:
    """Bars from (name, figure, [(colour, word, amount)]), to one scale."""
    longest = max((sum(a for _, _, a in pieces) for _, _, pieces in rows), default=0.0) or 1.0
    return tuple(
        Bar(
            name,
            shown,
            tuple(
                Piece(colour, round(100 * amount / longest, 2), f"{word}: {figures.number(amount)}")
                for colour, word, amount in pieces
                if amount > 0
            ),
        )
        for name, shown, pieces in rows
    )


def _cycles(layers: tuple[Layer, ...]) -> Chart | None:
    timed = [y for y in layers if y.cycles]
    if not timed:
        return None
    parts = list(dict.fromkeys(part for y in timed for part in y.parts or {}))
    used = [p for p in parts if any((y.parts or {}).get(p) for y in timed)]
    rows = [
        (y.name, figures.count(y.cycles.mid), [
            (used.index(p) % _COLOURS, PART_WORDS.get(p, p), float((y.parts or {}).get(p, 0)))
            for p in used
        ])
        for y in timed if y.cycles
    ]  # fmt: skip
    legend = tuple((i % _COLOURS, PART_WORDS.get(p, p)) for i, p in enumerate(used))
    return Chart(
        "Cycles by layer", "modelled, most likely value, by cause", legend, _bars(rows),
        ("layer", "cycles"),
    )  # fmt: skip


def _mix(report: Report) -> Chart | None:
    timing = report.results.timing
    if timing is None or not timing.mix:
        return None
    total = sum(timing.mix.values()) or 1
    rows = [
        (kind.replace("_", " "), f"{figures.count(n)} ({figures.percent(n / total)})",
         [(0, kind, float(n))])
        for kind, n in sorted(timing.mix.items(), key=lambda item: -item[1])
    ]  # fmt: skip
    return Chart("Instruction mix", "counted, by class", (), _bars(rows), ("class", "instructions"))


def _energy(layers: tuple[Layer, ...]) -> Chart | None:
    used = [(y, y.energy_uj) for y in layers if y.energy_uj]
    rows = [
        (y.name, f"{figures.number(e.mid)} µJ ({_ends(e)})", [(2, "energy", max(0.0, e.mid))])
        for y, e in used
    ]
    if not rows:
        return None
    return Chart("Energy by layer", "modelled, in µJ", (), _bars(rows), ("layer", "energy"))


def _flash(layers: tuple[Layer, ...]) -> Chart | None:
    rows = [
        (y.name, f"{figures.count(y.text_bytes + y.weights_bytes)} B",
         [(0, "code", float(y.text_bytes)), (1, "weights", float(y.weights_bytes))])
        for y in layers if y.text_bytes + y.weights_bytes
    ]  # fmt: skip
    if not rows:
        return None
    return Chart(
        "Flash by layer", "counted, in bytes", ((0, "code"), (1, "weights")), _bars(rows),
        ("layer", "bytes"),
    )  # fmt: skip
