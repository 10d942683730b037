# SPDX-License-Identifier: MIT
"""The bar charts of the HTML report: cycles, instruction mix, energy and flash; what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simharness.report import figures
from simharness.report.compare import Comparison
from simharness.report.comparison_views import change
from simharness.report.model import Layer, Report

PART_WORDS: Mapping[str, str] = {
    "issue": "issue",
    "load_use": "load-use",
    "refill": "pipeline refill",
    "fetch_stalls": "instruction fetch",
    "data_stalls": "data access",
    "external": "external memory",
}
_COLOURS = 8
_FEWER, _MORE = 0, 5  # blue and vermilion: told apart by everybody


@dataclass(frozen=True, slots=True)
class Piece:
    """A coloured piece of a bar, `percent` of the chart's width wide."""

    colour: int
    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Pieces side by side, from `start` percent of the chart's width; `title` is the full name."""

    name: str
    title: str
    figure: str
    pieces: tuple[Piece, ...]
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars under a legend of (colour, word)."""

    title: str
    note: str
    legend: tuple[tuple[int, str], ...]
    bars: tuple[Bar, ...]
    head: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """The same as a table: full name, figure, what it is made of."""
        return [(b.title, b.figure, "; ".join(p.label for p in b.pieces)) for b in self.bars]


def charts(report: Report) -> list[Chart]:
    """What there is to draw of a report, in order of interest."""
    layers = report.results.layers
    found = (_cycles(layers), _mix(report), _energy(layers), _flash(layers))
    return [chart for chart in found if chart]


def changes(found: Comparison) -> Chart | None:
    """Which layers take more cycles than before, and which fewer; the worst first."""
    moved = [(y, y.growth) for y in found.layers if y.growth]
    if not moved:
        return None
    left = max(0.0, -min(growth for _, growth in moved))
    width = left + max(0.0, *(growth for _, growth in moved))
    bars = tuple(
        Bar(
            figures.brief(y.name),
            y.name,
            change(y.cycles) if y.cycles.change else f"{growth:+,.0f} ({y.cycles.status})",
            (_arrow(growth, width),),
            start=round(100 * (left + min(growth, 0.0)) / width, 2),
        )
        for y, growth in moved
    )
    legend = ((_MORE, "more cycles"), (_FEWER, "fewer cycles"))
    return Chart("Change by layer", "worst first", legend, bars, ("layer", "change of cycles"))


def _arrow(growth: float, width: float) -> Piece:
    colour = _MORE if growth > 0 else _FEWER
    return Piece(colour, round(100 * abs(growth) / width, 2), f"{growth:+,.0f} cycles")


def _bars(rows: list[tuple[str, str, str, list[tuple[int, str, float]]]]) -> tuple[Bar, ...]:
    """Bars from (name, full name, figure, [(colour, word, amount)]), to one scale."""
    longest = max((sum(a for _, _, a in pieces) for *_, pieces in rows), default=0.0) or 1.0
    return tuple(
        Bar(
            name,
            title,
            shown,
            tuple(
                Piece(colour, round(100 * amount / longest, 2), f"{word}: {figures.number(amount)}")
                for colour, word, amount in pieces
                if amount > 0
            ),
        )
        for name, title, shown, pieces in rows
    )


def _named(layers: tuple[Layer, ...]) -> list[tuple[str, Layer]]:
    """Layers under short names, told apart by their number in the table of layers."""
    return [(f"{i} {figures.brief(y.name)}", y) for i, y in enumerate(layers)]


def _cycles(layers: tuple[Layer, ...]) -> Chart | None:
    timed = [(name, y, y.cycles) for name, y in _named(layers) if y.cycles]
    if not timed:
        return None
    parts = list(dict.fromkeys(part for _, y, _ in timed for part in y.parts or {}))
    used = [p for p in parts if any((y.parts or {}).get(p) for _, y, _ in timed)]
    words = [(i % _COLOURS, p, PART_WORDS.get(p, p)) for i, p in enumerate(used)]
    rows = [
        (name, y.name, figures.count(cycles.mid),
         [(colour, word, float((y.parts or {}).get(p, 0))) for colour, p, word in words])
        for name, y, cycles in timed
    ]  # fmt: skip
    return Chart(
        "Cycles by layer", "modelled, most likely value, by cause",
        tuple((colour, word) for colour, _, word in words), _bars(rows), ("layer", "cycles"),
    )  # fmt: skip


def _mix(report: Report) -> Chart | None:
    timing = report.results.timing
    if timing is None or not timing.mix:
        return None
    total = sum(timing.mix.values()) or 1
    rows = [
        (kind.replace("_", " "), kind, f"{figures.count(n)} ({figures.percent(n / total)})",
         [(0, kind, float(n))])
        for kind, n in sorted(timing.mix.items(), key=lambda item: -item[1])
    ]  # fmt: skip
    return Chart("Instruction mix", "counted, by class", (), _bars(rows), ("class", "instructions"))


def _energy(layers: tuple[Layer, ...]) -> Chart | None:
    rows = [
        (name, y.name, f"{figures.number(e.mid)} µJ ({figures.ends(e)})",
         [(2, "energy", max(0.0, e.mid))])
        for name, y in _named(layers) if (e := y.energy_uj)
    ]  # fmt: skip
    if not rows:
        return None
    return Chart("Energy by layer", "modelled, in µJ", (), _bars(rows), ("layer", "energy"))


def _flash(layers: tuple[Layer, ...]) -> Chart | None:
    rows = [
        (name, y.name, f"{figures.count(y.text_bytes + y.weights_bytes)} B",
         [(0, "code", float(y.text_bytes)), (1, "weights", float(y.weights_bytes))])
        for name, y in _named(layers) if y.text_bytes + y.weights_bytes
    ]  # fmt: skip
    if not rows:
        return None
    return Chart(
        "Flash by layer", "counted, in bytes", ((0, "code"), (1, "weights")), _bars(rows),
        ("layer", "bytes"),
    )  # fmt: skip
