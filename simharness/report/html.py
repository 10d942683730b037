# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML file: for people who would rather look than read.

Everything is drawn here; the page's script only adds reading by pointer and keyboard. Each picture
has its table behind it, and each figure carries the JSON key that it shows (`data-key`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import jinja2

from simharness.report import figures
from simharness.report.charts import changes, charts
from simharness.report.compare import Comparison, LayerDelta
from simharness.report.comparison_views import (
    LAYER_HEAD,
    METRIC_HEAD,
    headline,
    layer_row,
    metric_row,
)
from simharness.report.model import RUN_LAYER, Layer, Placed, Plan, Report
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

_Named = TypeVar("_Named", Layer, LayerDelta)
_MAP_HEIGHT = 1000
_STEP_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Card:
    """A headline figure; `key` is where the JSON has its value."""

    title: str
    value: str
    unit: str
    spread: str
    key: str
    raw: float
    source: str


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
    """The page; with `base`, and `against` it, what changed since comes first."""
    r = report.results
    word, _, subject = (headline(against) if against else figures.verdict(report)).partition(": ")
    maps = _arena_maps(report, "Arena")
    if base is not None and base.results.plan != r.plan:
        maps += _arena_maps(base, "Arena before")
    return _TEMPLATES.get_template("report.html.j2").render(
        report=report,
        word=word,
        subject=subject,
        good=against.ok if against else figures.flawless(report),
        fit=figures.fit(r.fit),
        check=figures.check(r.check) if r.check else "not checked: the program was not run",
        divergence=figures.divergence(r.check) if r.check else "",
        cards=_cards(report),
        memories=figures.used(r.fit),
        maps=maps,
        records=[_place(p) for p in r.plan.records] if r.plan else [],
        charts=charts(report),
        layer_columns=LAYER_COLUMNS,
        layer_rows=[report_row(i, _short(y)) for i, y in enumerate(r.layers)],
        summary=summary(report),
        against=against,
        changes=changes(against) if against else None,
        metric_head=METRIC_HEAD,
        metric_rows=[(d.status, metric_row(d)) for d in against.deltas] if against else [],
        moved_head=LAYER_HEAD,
        moved_rows=[layer_row(_short(d)) for d in against.layers] if against else [],
        size=figures.size,
        json=jinja2.filters.do_mark_safe(to_json(report).replace("<", "\\u003c")),
    )  # fmt: skip


def _short(layer: _Named) -> _Named:
    return replace(layer, name=figures.brief(layer.name))


def _cards(report: Report) -> list[Card]:
    r = report.results
    kinds = r.sources
    found: list[Card] = []

    def add(title: str, key: str, value: float | None, unit: str = "", spread: str = "") -> None:
        if value is not None:
            shown = figures.count(value) if isinstance(value, int) else figures.number(value)
            metric = key.split(".")[0]
            source = kinds.get(metric, "")
            found.append(Card(title, shown, unit, spread, f"results.{key}", value, source))

    if r.time_ms:
        clock = figures.hertz(report.board.clock_hz)
        add(f"time at {clock}", "time_ms.mid", r.time_ms.mid, "ms", figures.ends(r.time_ms))
    if r.cycles:
        low, high = figures.count(r.cycles.low), figures.count(r.cycles.high)
        add("cycles", "cycles.mid", r.cycles.mid, "", f"{low} to {high}")
    if r.energy_uj:
        add("energy", "energy_uj.mid", r.energy_uj.mid, "µJ", figures.ends(r.energy_uj))
    add("instructions", "instructions", r.instructions)
    add("MACs", "macs", r.macs)
    add("flash", "memory.flash_bytes", r.memory.flash_bytes, "B")
    add("arena", "memory.arena_bytes", r.memory.arena_bytes, "B")
    add("stack", "memory.stack_bytes", r.memory.stack_bytes, "B")
    return found


def _arena_maps(report: Report, title: str) -> list[ArenaMap]:
    """A map for each memory that holds a part of the arena."""
    plan = report.results.plan
    if plan is None or not plan.arena_bytes:
        return []
    if not plan.banks:
        bound = plan.lower_bound_bytes
        return [_arena_map(report, plan, title, "arena", plan.arena_bytes, bound)]
    return [
        _arena_map(report, plan, f"{title} in {b.name}", b.memory, b.used_bytes, None)
        for b in plan.banks
    ]


def _arena_map(
    report: Report, plan: Plan, title: str, memory: str, size_bytes: int, bound_bytes: int | None
) -> ArenaMap:
    """Address against time: one column per layer, addresses from the bottom up. Without a bound of
    the plan's, what is alive at once is one."""
    inside = [r for r in plan.records if r.memory == memory and r.size_bytes]
    steps = max((r.last for r in plan.records if r.in_arena), default=0) + 1
    scale = _MAP_HEIGHT / size_bytes
    layers = [y.name for y in report.results.layers if y.name != RUN_LAYER]
    live = [live_bytes(report, step, memory) for step in range(steps)]
    bound = max(live) if bound_bytes is None else bound_bytes
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
        bound_y=round(_MAP_HEIGHT - bound * scale, 1),
        arena_bytes=size_bytes,
        bound_bytes=bound,
        steps=steps,
        proven=plan.proven,
    )


def _place(r: Placed) -> tuple[object, ...]:
    name = f"scratch of {r.tensor}" if r.scratch else r.tensor
    return name, r.memory, r.offset, r.size_bytes, r.first, r.last, r.alias


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
