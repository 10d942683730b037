# SPDX-License-Identifier: MIT
"""Exports hold the report's figures, and the viewers' own readers accept them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from report_samples import report, reports

from simharness import cli
from simharness.report import to_json
from simharness.report.formats import FORMATS, view
from simharness.report.model import Check, Divergence, Report
from simharness.report.profiles import live_bytes

SAMPLE = report()


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_of_any_report(style: str) -> None:
    """Whatever a report holds, each view can show it, twice the same."""

    @given(reports)
    def shows(found: Report) -> None:
        assert view(found, style) == view(found, style)

    shows()


def test_csv_has_a_line_per_layer() -> None:
    rows = list(csv.DictReader(io.StringIO(view(SAMPLE, "csv"))))

    assert [row["name"] for row in rows] == ["conv", "pool", "(run)"]
    assert rows[0]["cycles_mid"] == "9000" and rows[0]["macs"] == "6400"


def test_benchmark_rows_have_name_unit_value() -> None:
    rows = json.loads(view(SAMPLE, "benchmark"))

    assert {"name": "tiny.onnx STM32F446 arena", "unit": "bytes", "value": 272} in rows
    assert all(set(row) <= {"name", "unit", "value", "range", "extra"} for row in rows)


def test_junit_passes_and_fails() -> None:
    where = Divergence(
        layer="conv\x01", op="ConvS8", tensor="t", index=(0,), ours=1, reference=2, sample=0
    )
    bad = Check(
        ok=False, reference="ORT", samples=1, elements=1, mismatches=1, max_lsb=1, divergence=where
    )

    good = ElementTree.fromstring(view(SAMPLE, "junit").encode())
    failed = ElementTree.fromstring(view(report(check=bad, ok=False), "junit").encode())

    assert good.find("testsuite").attrib["failures"] == "0"  # type: ignore[union-attr]
    assert good.find(".//failure") is None
    assert failed.find(".//testcase[@name='outputs']/failure").text.endswith("reference 2")  # type: ignore[union-attr]


@pytest.mark.skipif(shutil.which("callgrind_annotate") is None, reason="apt-get install valgrind")
def test_callgrind_annotate_reads_instructions_cycles_and_energy(tmp_path: Path) -> None:
    path = tmp_path / "callgrind.out"
    path.write_text(view(SAMPLE, "callgrind"), encoding="utf-8")

    done = subprocess.run(
        ["callgrind_annotate", "--threshold=100", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stderr == ""
    assert "Events recorded:  Ir Cy Nj" in done.stdout
    assert re.search(r"8,100 .* 9,000 .*00 conv", done.stdout)
    assert re.search(r"9,000 \(100.0%\) 10,000 .*PROGRAM TOTALS", done.stdout)


def test_speedscope_opens_and_closes_every_frame_in_order() -> None:
    profile = json.loads(view(SAMPLE, "speedscope"))["profiles"][0]
    open_frames: list[int] = []
    at = 0
    for event in profile["events"]:
        assert event["at"] >= at
        at = event["at"]
        if event["type"] == "O":
            open_frames.append(event["frame"])
        else:
            assert open_frames.pop() == event["frame"]

    assert open_frames == [] and at == profile["endValue"] == 10_000


def test_chrome_trace_has_layers_and_live_ram() -> None:
    events = json.loads(view(SAMPLE, "trace"))["traceEvents"]
    layers = [e for e in events if e["ph"] == "X"]
    ram = [e["args"]["bytes"] for e in events if e["ph"] == "C"]

    assert [e["name"] for e in layers] == ["conv", "pool", "(run)"]
    assert all(isinstance(e[key], int) for e in layers for key in ("ts", "dur"))  # no rounding
    assert all(b["ts"] == a["ts"] + a["dur"] for a, b in pairwise(layers))
    assert ram == [272, 256, 0]


def test_live_ram_counts_overlaps_once() -> None:
    assert live_bytes(SAMPLE, 0) == 272
    assert live_bytes(SAMPLE, 9) == 0


def test_show_renders_a_saved_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    path.write_text(to_json(SAMPLE), encoding="utf-8")

    for style in FORMATS:
        assert cli.main(["show", str(path), "--format", style]) == 0
        assert capsys.readouterr().out == view(SAMPLE, style)
