# SPDX-License-Identifier: MIT
"""The report as Markdown: for pull requests, step summaries and notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simharness.report import figures
from simharness.report.model import Report
from simharness.report.terminal import LAYER_COLUMNS, layer_row, summary

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$@])")


def render(report: Report) -> str:
    """Verdict, figures, and the layers folded below."""
    found = report.results
    lines = [f"- {escape(figures.fit(found.fit))}"]
    if found.check:
        lines.append(f"- {escape(figures.check(found.check))}")
        if found.check.divergence:
            lines.append(f"- **{escape(figures.divergence(found.check))}**")
    layers = table(LAYER_COLUMNS, [layer_row(i, y) for i, y in enumerate(found.layers)])
    return "\n\n".join((
        f"### {'✅' if figures.flawless(report) else '❌'} {escape(figures.verdict(report))}",
        "\n".join(lines),
        table(("", "", "source"), summary(report)),
        f"<details><summary>{len(found.layers)} layers</summary>\n\n{layers}\n\n</details>",
    )) + "\n"  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, columns of numbers to the right."""
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        _line(head),
        "|" + "|".join(" ---: " if right else " --- " for right in numeric) + "|",
        *map(_line, rows),
    ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """`text` without any meaning to Markdown or HTML: names come from files."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return _SPECIAL.sub(r"\\\1", shown)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escape, cells)) + " |"


def _is_number(cell: str) -> bool:
    return bool(re.match(r"[-+]?[0-9]|-$", cell))
