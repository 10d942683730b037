# SPDX-License-Identifier: MIT
"""Reports of published networks as pages in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from html_page import Page, assert_figures, dom

import simharness
from simharness.report.html import render

LIMIT_BYTES = 1_000_000


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    ("name", "core"),
    [("mlperf_ic_resnet8_int8", "m4"), ("mlperf_vww_mbv1_int8", "m4"), ("mcunet_in3_int8", "m7")],
)
def test_a_page_has_every_tensor_and_the_figures_of_the_json(
    name: str, core: str, shared_models: Path, tmp_path: Path
) -> None:
    """Without a word on the console, and in less than a megabyte."""
    model = shared_models / f"{name}.onnx"
    report = simharness.run(model, core=core, samples=1, emulate_anyway=True)
    text = render(report)
    assert report.results.plan is not None
    arena = [r for r in report.results.plan.records if r.memory == "arena" and r.size_bytes]

    page = Page(dom(text, tmp_path).partition("<!DOCTYPE html>")[2])

    assert len(text.encode()) < LIMIT_BYTES
    assert len(page.all("rect")) == len(arena) > 10
    assert assert_figures(page, report) == 8
