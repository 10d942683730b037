# SPDX-License-Identifier: MIT
"""The report for a terminal: verdict and fit first, then figures, then layers."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simharness.report import figures
from simharness.report.model import Alternative, Choice, Interval, Layer, Plan, Report

_PLAIN_WIDTH = 10_000


def render(report: Report, *, color: bool = False, width: int | None = None) -> str:
    """The report as text; without `color` it is plain, with ASCII rules."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width or _PLAIN_WIDTH,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
    )
    good, bad = "green", "bold red"
    found = report.results
    console.print(
        _cell(figures.verdict(report), f"bold {good}" if figures.flawless(report) else bad)
    )
    console.print(_cell(figures.fit(found.fit), good if found.fit.ok else bad))
    if found.check:
        console.print(_cell(figures.check(found.check), good if found.check.ok else bad))
        if found.check.divergence:
            console.print(_cell(figures.divergence(found.check), bad))
    for line in figures.violations(found.sanitizer):
        console.print(_cell(line, bad))
    if found.sanitizer and found.sanitizer.ok:
        console.print(_cell(figures.sanitizer(found.sanitizer), good))
    console.print()
    console.print(_pairs(summary(report)))
    console.print()
    console.print(_layers(report.results.layers, color=color))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def summary(report: Report) -> list[tuple[str, str, str]]:
    """The figures of the whole run: what, how much, and where the number comes from."""
    r = report.results
    kinds = r.sources
    rows: list[tuple[str, str, str]] = []
    clock = figures.hertz(report.board.clock_hz)
    if r.cycles is not None:
        mode = f", {r.timing.mode}" if r.timing else ""
        rows.append(("cycles", figures.cycles(r.cycles), kinds.get("cycles", "") + mode))
    if r.time_ms is not None:
        rows.append(
            (f"time at {clock}", f"{figures.interval(r.time_ms)} ms", kinds.get("time_ms", ""))
        )
    if r.energy_uj is not None:
        basis = f", current {r.supply.status}" if r.supply else ""
        kind = kinds.get("energy_uj", "") + basis
        rows.append(("energy", f"{figures.interval(r.energy_uj)} uJ", kind))
    if r.average is not None:
        a = r.average
        kind = f"every {figures.number(a.period_s)} s, {100 * a.active_share:.3g} % active, "
        kind += f"else {a.idle_ma:g} mA ({a.idle_status})"
        rows.append(("average power", f"{figures.interval(a.average_mw)} mW", kind))
        if a.battery_hours is not None and a.battery_mah is not None:
            h = a.battery_hours
            days = Interval(h.low / 24, h.mid / 24, h.high / 24)
            rows.append(
                ("battery life", f"{figures.interval(days)} days", f"{a.battery_mah:g} mAh")
            )
    if r.instructions is not None:
        rows.append(("instructions", figures.count(r.instructions), kinds.get("instructions", "")))
    macs = figures.count(r.macs)
    if r.removed.macs:
        macs += f", {figures.count(r.removed.macs)} more in the file matter to no output"
    rows.append(("MACs", macs, kinds.get("macs", "")))
    for m in figures.used(r.fit):
        text = f"{figures.size(m.used_bytes)} of {figures.size(m.available_bytes)}"
        if m.shortfall_bytes:
            text += f", short of {figures.size(m.shortfall_bytes)}"
        rows.append((f"memory {m.name}", text, "counted"))
    if r.placement is not None:
        rows.append(("placement", figures.placement(r.placement), "counted"))
    memory = r.memory
    rows.append(
        (
            "flash",
            f"{figures.size(memory.flash_bytes)}: code {figures.size(memory.text_bytes)}, "
            f"weights {figures.size(memory.weights_bytes)}",
            "counted",
        )
    )
    arena = (
        f"{figures.size(memory.arena_bytes)}, of it scratch {figures.size(memory.scratch_bytes)}"
    )
    if r.plan is not None:
        bound = r.plan.lower_bound_bytes
        arena += (
            ", the least possible for this order"
            if r.plan.proven
            else f", lower bound {figures.size(bound)}"
        )
    rows.append(("arena", arena, "counted"))
    if memory.held_weights_bytes:
        held = (
            f"{figures.size(memory.held_weights_bytes)} of the scratch: weights that are read often"
        )
        rows.append(("copies", held, "counted"))
    for bank in r.plan.banks if r.plan else ():
        text = f"{figures.size(bank.used_bytes)} of {figures.size(bank.available_bytes)} free there"
        rows.append((f"arena in {bank.name}", text, "counted"))
    if r.plan is not None and (shared := _shared(r.plan)):
        rows.append(("of it shared", shared, "counted"))
    if r.plan is not None and r.plan.fused_adds:
        count = len(r.plan.fused_adds)
        text = f"{count} residual additions done by the convolutions before them, in place"
        rows.append(("fused", text, "counted"))
    for choice in r.plan.choices if r.plan else ():
        rows.append(("to save RAM", f"{choice.detail}, {choice.where[:40]}: {_cost(choice)}", ""))
    for other in r.plan.alternatives if r.plan else ():
        arena = figures.size(other.arena_bytes)
        rows.append(("planned", f"{other.detail}: arena {arena}, {_cost(other)}", ""))
    if memory.stack_bytes is not None:
        rows.append(("stack", figures.size(memory.stack_bytes), kinds.get("stack_bytes", "")))
    if report.toolchain:
        flags = next((f for f in report.toolchain.flags if f.startswith("-O")), "")
        rows.append(("compiler", f"{report.toolchain.version} {flags}".strip(), ""))
    if report.engine:
        engine = report.engine
        rows.append(("engine", f"{engine.name} {engine.version}, {engine.fidelity}", ""))
    rows += [(f.role, f"{f.path}  sha256 {f.sha256[:16]}", "") for f in report.inputs]
    return rows


def _shared(plan: Plan) -> str:
    """Which ways of using less memory the plan took for nothing."""
    counts = (
        (len(plan.in_place), "tensors made in place"),
        (len(plan.overlapped), "over an input that dies"),
        (len(plan.views), "views instead of copies"),
    )
    parts = [f"{count} {what}" for count, what in counts if count]
    return ", ".join([*parts, *(["branches in a better order"] if plan.reordered else [])])


def _cost(choice: Choice | Alternative) -> str:
    """What a choice for memory costs."""
    macs = f"{choice.extra_macs:+,} multiplications, " if choice.extra_macs else ""
    return f"{macs}about {choice.extra_instructions:+,} instructions"


def _pairs(rows: Iterable[tuple[str, str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


LAYER_COLUMNS = (
    "#", "layer", "op", "shape", "MACs", "instructions", "cycles", "share", "out B", "flash B",
    "kernel",
)  # fmt: skip
_NAME_WIDTH = 32
_LEFT = ("layer", "op", "shape", "kernel")


def layer_row(number: int, layer: Layer) -> tuple[str, ...]:
    """The cells of a layer, as `LAYER_COLUMNS`."""
    return (
        str(number),
        layer.name,
        layer.op,
        figures.shape(layer.shape),
        figures.count(layer.macs),
        "-" if layer.instructions is None else figures.count(layer.instructions),
        "-" if layer.cycles is None else figures.count(layer.cycles.mid),
        "-" if layer.share is None else figures.percent(layer.share),
        figures.count(layer.output_bytes),
        figures.count(layer.text_bytes + layer.weights_bytes),
        layer.kernel,
    )


def _layers(layers: tuple[Layer, ...], *, color: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if color else box.ASCII2,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1),
    )
    for column in LAYER_COLUMNS:
        table.add_column(
            column,
            justify="left" if column in _LEFT else "right",
            overflow="fold",
            no_wrap=column not in ("shape", "kernel"),
        )
    for number, layer in enumerate(layers):
        short = replace(layer, name=figures.brief(layer.name, _NAME_WIDTH))
        table.add_row(*(_cell(cell) for cell in layer_row(number, short)))
    return table


def _cell(text: str, style: str = "") -> Text:
    """Names come from files: control characters must not reach the terminal."""
    return Text("".join(c if c.isprintable() else "?" for c in text), style=style)
