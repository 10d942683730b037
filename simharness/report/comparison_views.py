# SPDX-License-Identifier: MIT
"""A comparison as text for terminals, and as Markdown for pull requests and step summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simharness.report import markdown
from simharness.report.compare import Comparison, Delta, LayerDelta
from simharness.report.figures import brief, number

METRIC_HEAD = ("metric", "base", "now", "change", "allowed", "verdict")
LAYER_HEAD = ("layer", "op", "cycles", "now", "change", "flash B", "RAM B")
_WORDS = {
    "worse": "WORSE", "gone": "MISSING", "within": "within", "new": "new", "better": "better",
    "same": "same",
}  # fmt: skip


def headline(found: Comparison) -> str:
    """Whether something got worse."""
    subject = f"{found.model} on {found.board}"
    if not found.ok:
        return f"WORSE: {subject}"
    moved = any(d.status != "same" for d in found.deltas)
    return f"OK: {subject}: {'nothing got worse than allowed' if moved else 'nothing changed'}"


def verdict(found: Comparison) -> str:
    """The one line that says it all."""
    return headline(found) + (f": {'; '.join(found.failures)}" if found.failures else "")


def text(found: Comparison, *, layers: bool = True) -> str:
    """Plain text, aligned; layers that moved below, on demand."""
    lines = [headline(found), *(f"- {failure}" for failure in found.failures)]
    lines += [*(f"note: {note}" for note in found.notes), ""]
    lines += _aligned(METRIC_HEAD, [metric_row(d) for d in found.deltas])
    if layers and found.layers:
        short = [replace(d, name=brief(d.name)) for d in found.layers]
        lines += ["", *_aligned(LAYER_HEAD, [layer_row(d) for d in short])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown_text(found: Comparison) -> str:
    """Markdown: one table of figures, worst first; the layers that moved folded below it."""
    mark = "✅" if found.ok else "❌"
    parts = [f"### {mark} {markdown.escape(headline(found))}"]
    if found.failures or found.notes:
        said = (*(f"**{markdown.escape(f)}**" for f in found.failures),
                *map(markdown.escape, found.notes))  # fmt: skip
        parts.append("\n".join(f"- {line}" for line in said))
    parts.append(markdown.table(METRIC_HEAD, [metric_row(d) for d in found.deltas]))
    if found.layers:
        rows = markdown.table(LAYER_HEAD, [layer_row(d) for d in found.layers])
        parts.append(
            f"<details><summary>layers that moved: {len(found.layers)}</summary>\n\n{rows}\n\n"
            "</details>"
        )
    return "\n\n".join(parts) + "\n"


def metric_row(delta: Delta) -> tuple[str, ...]:
    name = f"{delta.metric} [{delta.unit}]" if delta.unit else delta.metric
    return (
        name,
        _figure(delta.base),
        _figure(delta.head),
        change(delta),
        str(delta.gate) if delta.gate else "any",
        _WORDS[delta.status],
    )


def layer_row(delta: LayerDelta) -> tuple[str, ...]:
    return (
        delta.name,
        delta.op,
        _figure(delta.cycles.base),
        _figure(delta.cycles.head),
        change(delta.cycles),
        _both(delta.flash),
        _both(delta.room),
    )


def _both(delta: Delta) -> str:
    if delta.status == "same":
        return _figure(delta.head)
    return f"{_figure(delta.base)} -> {_figure(delta.head)}"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{int(value):,}" if float(value).is_integer() else number(value)


def change(delta: Delta) -> str:
    """Head minus base, with its share of the base."""
    if delta.change is None:
        return "-"
    if delta.change == 0:
        return "0"
    sign = "+" if delta.change > 0 else "-"
    relative = "" if delta.relative is None else f" ({100 * delta.relative:+.3g}%)"
    return f"{sign}{_figure(abs(delta.change))}{relative}"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns, the first one to the left and the others to the right."""
    cells = [head, *rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    left = {0, *(i for i, h in enumerate(head) if h in ("op", "verdict"))}
    return [
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w)
            for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
