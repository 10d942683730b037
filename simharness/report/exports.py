# SPDX-License-Identifier: MIT
"""The report in the formats of other people's tools: CSV, JUnit, github-action-benchmark."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

from simharness.report import figures
from simharness.report.model import Layer, Report

_COLUMNS = (
    "name", "op", "kernel", "symbol", "shape", "macs", "instructions", "cycles_low", "cycles_mid",
    "cycles_high", "share", "energy_uj_mid", "output_bytes", "scratch_bytes", "text_bytes",
    "weights_bytes",
)  # fmt: skip


def to_csv(report: Report) -> str:
    """One line per layer."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(_csv_row, report.results.layers))
    return out.getvalue()


def _csv_row(y: Layer) -> tuple[object, ...]:
    c, e = y.cycles, y.energy_uj
    return (
        y.name, y.op, y.kernel, y.symbol, figures.shape(y.shape), y.macs, y.instructions,
        c and c.low, c and c.mid, c and c.high, y.share, e and e.mid, y.output_bytes,
        y.scratch_bytes, y.text_bytes, y.weights_bytes,
    )  # fmt: skip


def to_benchmark(report: Report) -> str:
    """For github-action-benchmark, tool `customSmallerIsBetter`."""
    r = report.results
    rows: list[dict[str, object]] = []

    def add(name: str, unit: str, value: float | None, spread: str = "") -> None:
        if value is not None:
            title = f"{report.model} {report.board.name} {name}"
            row: dict[str, object] = {"name": title, "unit": unit, "value": value}
            rows.append(row | ({"range": spread} if spread else {}))

    add("instructions", "instructions", r.instructions)
    if r.cycles:
        add("cycles", "cycles", r.cycles.mid, f"{r.cycles.low} to {r.cycles.high}")
    if r.time_ms:
        add("time", "ms", r.time_ms.mid, f"{r.time_ms.low} to {r.time_ms.high}")
    if r.energy_uj:
        add("energy", "uJ", r.energy_uj.mid, f"{r.energy_uj.low} to {r.energy_uj.high}")
    m = r.memory
    for name, value in (
        ("flash", m.flash_bytes),
        ("arena", m.arena_bytes),
        ("stack", m.stack_bytes),
    ):
        add(name, "bytes", value)
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def to_junit(report: Report) -> str:
    """Test cases "fit" and "outputs" with the figures as properties of the suite."""
    r = report.results
    cases: list[tuple[str, str]] = [("fit", "" if r.fit.ok else figures.fit(r.fit))]
    if r.check:
        said = figures.check(r.check)
        where = figures.divergence(r.check)
        cases.append(("outputs", "" if r.check.ok else f"{said}\n{where}".strip()))
    failures = sum(bool(message) for _, message in cases)
    name = f"simharness.{report.board.name}"
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(cases)), failures=str(failures), errors="0",
        skipped="0",
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    for row in json.loads(to_benchmark(report)):
        key = f"{row['name'].rsplit(' ', 1)[1]} [{row['unit']}]"
        ElementTree.SubElement(properties, "property", name=key, value=str(row["value"]))
    for title, message in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_xml_text(f"{name}.{report.model}"), name=title
        )
        if message:
            head = _xml_text(message.splitlines()[0])
            ElementTree.SubElement(case, "failure", message=head).text = _xml_text(message)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _xml_text(text: str) -> str:
    """Names come from files: XML has no spelling for most control characters."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
