# SPDX-License-Identifier: MIT
"""Every view of one report and of one comparison, byte for byte; to renew them see conftest.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from report_samples import layer, report

from simharness.report import terminal
from simharness.report.compare import compare
from simharness.report.comparison_views import markdown_text, text
from simharness.report.formats import FORMATS, view
from simharness.report.html import render
from simharness.report.model import Cycles

BASE = report()
HEAD = report(
    layers=(layer("conv", "ConvS8", 9100, macs=6400), *BASE.results.layers[1:]),
    cycles=Cycles(9000, 10_100, 11_100),
)
COMPARED = compare(BASE, HEAD)


@pytest.mark.parametrize("style", FORMATS)
def test_a_report(style: str, unchanged: Callable[[str, str], None]) -> None:
    unchanged(f"reports/report.{style}", view(BASE, style))


def test_a_report_on_a_terminal(unchanged: Callable[[str, str], None]) -> None:
    unchanged("reports/report.txt", terminal.render(BASE))


@pytest.mark.parametrize(
    ("style", "shown"),
    [("txt", text(COMPARED)), ("md", markdown_text(COMPARED)),
     ("html", render(HEAD, BASE, COMPARED))],
)  # fmt: skip
def test_a_comparison(style: str, shown: str, unchanged: Callable[[str, str], None]) -> None:
    unchanged(f"reports/comparison.{style}", shown)
