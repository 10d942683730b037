# SPDX-License-Identifier: MIT
"""The HTML report as a parser and as a browser see it."""

from __future__ import annotations

import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from simharness.report import to_json
from simharness.report.model import Report

_VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page; complains about tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: dict[int, str] = {}
        self._open: list[tuple[str, int]] = []
        self.feed(text)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in _VOID:
            self._open.append((tag, len(self.elements) - 1))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1][0] == tag, (tag, self._open)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for _, index in self._open:
            self.words[index] = self.words.get(index, "") + data

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [
            (attributes, self.words.get(index, ""))
            for index, (name, attributes) in enumerate(self.elements)
            if name == tag
        ]


def _value_at(found: Report, path: str) -> float:
    value = json.loads(to_json(found))
    for key in path.split("."):
        value = value[key]
    return float(value)


def assert_figures(page: Page, report: Report) -> int:
    """Each headline figure is the JSON's, exactly and as it is spelled; how many there are."""
    shown = page.all("data")
    for attributes, text in shown:
        exact = _value_at(report, attributes["data-key"])
        assert float(attributes["value"]) == exact
        assert float(text.replace(",", "")) == pytest.approx(exact, rel=1e-3)
    return len(shown)


def dom(text: str, tmp_path: Path) -> str:
    """The page as a browser has it after its scripts ran, which must say nothing."""
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom",
         path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    return done.stdout
