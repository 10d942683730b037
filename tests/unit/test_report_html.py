# SPDX-License-Identifier: MIT
"""The HTML report is one file that needs nothing else, and shows the figures that the JSON has."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from html_page import Page, assert_figures, dom
from report_samples import layer, report

from simharness.report import to_json
from simharness.report.compare import compare
from simharness.report.html import render
from simharness.report.model import Cycles, Fit, MemoryFit, Report

SAMPLE = report()


def hostile() -> Report:
    """A report whose names try to leave their places."""
    bad = "</script><img src=x onerror=alert(1)>\"'<b>"
    layers = tuple(replace(y, name=y.name + bad) for y in SAMPLE.results.layers)
    return replace(report(layers=layers), model=bad)


@pytest.mark.parametrize("found", [SAMPLE, hostile(), report(check=None, cycles=None, plan=None)])
def test_the_page_is_well_formed_and_needs_nothing_else(found: Report) -> None:
    page = Page(render(found))
    links = [a[k] for _, a in page.elements for k in ("src", "href") if k in a]

    assert all(link.startswith(("#", "data:")) for link in links)
    assert not any(key.startswith("on") for _, a in page.elements for key in a)
    assert "@import" not in render(found) and "url(" not in render(found)
    assert [tag for tag, _ in page.elements].count("img") == 0


def test_its_figures_are_those_of_the_json() -> None:
    assert assert_figures(Page(render(SAMPLE)), SAMPLE) == 8


def test_the_json_is_in_the_page() -> None:
    for found in (SAMPLE, hostile()):
        scripts = [w for a, w in Page(render(found)).all("script") if a.get("id") == "report"]

        assert json.loads(scripts[0]) == json.loads(to_json(found))


def test_the_map_has_every_tensor_of_the_arena() -> None:
    page = Page(render(SAMPLE))
    boxes = page.all("rect")
    records = [r for r in SAMPLE.results.plan.records if r.memory == "arena"]  # type: ignore[union-attr]

    assert len(boxes) == len(records)
    assert sum(float(a["height"]) for a, _ in boxes) == pytest.approx(1000)
    titles = [text for _, text in page.all("title")[1:]]
    assert titles[0].startswith("conv_out: 256 B at 0, from conv to pool")


def test_every_picture_has_a_name_and_a_table() -> None:
    page = Page(render(SAMPLE))

    assert all(a.get("aria-label") for a, _ in page.all("svg"))
    assert len(page.all("table")) >= 6
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in a for a, _ in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert {"header", "main"} <= {tag for tag, _ in page.elements}
    assert page.elements[0] == ("html", {"lang": "en"})


def test_sections_come_in_order_of_interest() -> None:
    headings = [text for _, text in Page(render(SAMPLE)).all("h2")]

    assert headings == [
        "Figures", "Arena", "Cycles by layer", "Instruction mix", "Energy by layer",
        "Flash by layer", "Layers", "How this was found",
    ]  # fmt: skip


def test_a_comparison_is_headed_by_its_own_verdict() -> None:
    """Also where the new report by itself is fine."""
    slow, fast = layer("conv", "ConvS8", 9100), layer("pool", "MaxPool", 850)
    head = report(layers=(fast, slow), cycles=Cycles(9000, 10_050, 11000))

    page = Page(render(head, SAMPLE, compare(SAMPLE, head)))

    ((attributes, words),) = page.all("h1")
    assert attributes["class"] == "bad" and words == "WORSE tiny.onnx on STM32F446"
    assert "cycles got worse by 50" in page.all("li")[0][1]
    assert [text for _, text in page.all("h2")[:3]] == [
        "Against the base", "Change by layer", "Figures",
    ]  # fmt: skip
    assert [a for a, _ in page.all("tr") if a.get("class") == "worse"]
    names = [text for a, text in page.all("th") if a.get("title")]
    assert names[:2] == ["conv", "pool"]  # worst first


def test_a_comparison_with_nothing_to_say_is_short() -> None:
    page = Page(render(SAMPLE, SAMPLE, compare(SAMPLE, SAMPLE)))

    assert page.all("h1")[0][1] == "OK tiny.onnx on STM32F446: nothing changed"
    assert page.all("h2")[1][1] == "Figures"
    assert len(page.all("svg")) == 1


def test_the_map_of_before_is_shown_where_it_was_another() -> None:
    plan = SAMPLE.results.plan
    assert plan is not None
    head = report(plan=replace(plan, arena_bytes=300))

    assert len(Page(render(head, SAMPLE, compare(SAMPLE, head))).all("svg")) == 2


def test_a_program_that_does_not_fit_is_not_shown_as_good() -> None:
    """Even where emulation on enlarged memories found its outputs right."""
    fit = Fit(False, (MemoryFit("sram", 2, 1, 1),), enlarged=True)

    ((attributes, words),) = Page(render(report(fit=fit))).all("h1")

    assert attributes["class"] == "bad" and words.startswith("DOES NOT FIT tiny.onnx")


@pytest.mark.needs("chromium")
def test_the_map_is_read_by_keyboard(tmp_path: Path) -> None:
    press = "document.querySelector('svg').dispatchEvent(new KeyboardEvent('keydown',{key:'End'}))"

    page = dom(render(SAMPLE).replace("</body>", f"<script>{press}</script></body>"), tmp_path)

    assert re.search(r'class="readout"[^>]*>scratch of conv: 16 B at 256', page)


@pytest.mark.needs("chromium")
def test_a_browser_renders_the_comparison(tmp_path: Path) -> None:
    head = report(cycles=Cycles(9000, 10_001, 11000))

    assert dom(render(head, SAMPLE, compare(SAMPLE, head)), tmp_path).count("<svg") == 1


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("found", [SAMPLE, hostile()], ids=["plain", "hostile"])
def test_a_browser_renders_it_without_a_word_on_its_console(found: Report, tmp_path: Path) -> None:
    page = dom(render(found), tmp_path)

    assert page.count("<rect") == 2
    assert "<img" not in page
    for key in re.findall(r'data-key="([^"]+)"', render(found)):
        assert f'data-key="{key}"' in page
