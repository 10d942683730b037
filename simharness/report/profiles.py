# SPDX-License-Identifier: MIT
"""The layers as a profile for existing viewers: callgrind (KCachegrind), speedscope, Perfetto."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import accumulate

from simharness.report.model import RUN_LAYER, Layer, Report


def to_callgrind(report: Report) -> str:
    """Instructions, cycles and nanojoules per layer, called from one root."""
    layers = [y for y in report.results.layers if y.name != RUN_LAYER]
    own = next((y for y in report.results.layers if y.name == RUN_LAYER), None)
    board = report.board
    lines = [
        "# callgrind format",
        "version: 1",
        f"creator: {report.tool}",
        f"cmd: {_word(report.model)} on {_word(board.name)}",
        "positions: line",
        "event: Ir : instructions (counted)",
        "event: Cy : cycles (modelled, middle)",
        "event: Nj : nanojoules (modelled, middle)",
        "events: Ir Cy Nj",
        "summary: " + _costs(list(report.results.layers)),
        "",
        f"fl={_word(report.model)}",
        "fn=run",
        f"0 {_costs([own] if own else [])}",
    ]
    for number, layer in enumerate(layers):
        name = _function(number, layer)
        lines += [f"cfn={name}", "calls=1 0", f"0 {_costs([layer])}"]
    for number, layer in enumerate(layers):
        lines += ["", f"fn={_function(number, layer)}", f"{number + 1} {_costs([layer])}"]
    return "\n".join(lines) + "\n"


def to_speedscope(report: Report) -> str:
    """A time line of cycles, one frame per layer inside one for the run."""
    layers = report.results.layers
    names = [f"{report.model} on {report.board.name}", *(f"{y.name} ({y.op})" for y in layers)]
    ends = list(accumulate(_cycles(y) for y in layers))
    starts = [0, *ends[:-1]] if ends else []
    events: list[dict[str, object]] = [{"type": "O", "frame": 0, "at": 0}]
    for frame, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        events.append({"type": "O", "frame": frame, "at": start})
        events.append({"type": "C", "frame": frame, "at": end})
    total = ends[-1] if ends else 0
    events.append({"type": "C", "frame": 0, "at": total})
    return _json({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": report.tool,
        "name": names[0],
        "shared": {"frames": [{"name": name} for name in names]},
        "profiles": [{
            "type": "evented", "name": "cycles (modelled, middle)", "unit": "none",
            "startValue": 0, "endValue": total, "events": events,
        }],
    })  # fmt: skip


def to_chrome_trace(report: Report) -> str:
    """Layers and live RAM over time for Perfetto or chrome://tracing.

    Viewers know time only: a cycle is shown as a microsecond, whatever the clock. That is their
    unit, and whole numbers of it leave no layer to begin before the last one has ended.
    """
    layers = report.results.layers
    title = f"{report.model} on {report.board.name} (1 cycle shown as 1 µs)"
    events: list[dict[str, object]] = [
        {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": title}},
        {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "layers"}},
    ]
    at = 0
    for number, layer in enumerate(layers):
        arguments = {
            "kernel": layer.kernel, "macs": layer.macs, "instructions": layer.instructions,
            "cycles": layer.cycles and layer.cycles.mid,
        }  # fmt: skip
        events.append({
            "ph": "X", "pid": 1, "tid": 1, "name": layer.name, "cat": layer.op, "ts": at,
            "dur": _cycles(layer), "args": arguments,
        })  # fmt: skip
        if layer.name != RUN_LAYER:
            live = {"bytes": live_bytes(report, number)}
            events.append({"ph": "C", "pid": 1, "name": "live arena", "ts": at, "args": live})
        at += _cycles(layer)
    events.append({"ph": "C", "pid": 1, "name": "live arena", "ts": at, "args": {"bytes": 0}})
    return _json({"displayTimeUnit": "ms", "traceEvents": events})


def live_bytes(report: Report, step: int, memory: str = "") -> int:
    """Bytes of the arena (of its part in `memory`) that something alive at this step occupies,
    overlaps counted once."""
    plan = report.results.plan
    spans = sorted(
        (r.memory, r.offset, r.offset + r.size_bytes)
        for r in (plan.records if plan else ())
        if r.in_arena and memory in ("", r.memory) and r.first <= step <= r.last
    )
    total = end = 0
    before = ""
    for where, low, high in spans:
        end = end if where == before else 0
        total += max(0, high - max(low, end))
        before, end = where, max(end, high)
    return total


def _cycles(layer: Layer) -> int:
    return layer.cycles.mid if layer.cycles else layer.instructions or 0


def _costs(layers: list[Layer]) -> str:
    energies = (y.energy_uj.mid if y.energy_uj else 0.0 for y in layers)
    instructions = sum(y.instructions or 0 for y in layers)
    cycles = sum(y.cycles.mid if y.cycles else 0 for y in layers)
    return f"{instructions} {cycles} {sum(round(1000 * Fraction(e)) for e in energies)}"


def _function(number: int, layer: Layer) -> str:
    return f"{number:02d} {_word(layer.name)}"


def _word(text: str) -> str:
    """A name on one line that no reader takes for a compressed "(1)" or for "file:name"."""
    return "".join(c if c.isprintable() and c not in "():" else "_" for c in text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
