# SPDX-License-Identifier: MIT
"""The worked examples work, and say what their first lines promise."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def main_of(name: str) -> Callable[..., object]:
    found: Callable[..., object] = runpy.run_path(str(EXAMPLES / name))["main"]
    return found


def test_every_example_is_tried_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")

    assert all(f'"{path.name}"' in source for path in EXAMPLES.glob("*.py"))


def test_choosing_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    main_of("choose_a_part.py")("zoo:lenet5-int8", "RP2040", "STM32F446")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["RP2040", "yes"], ["STM32F446", "yes"]]


def test_comparing_two_kernels() -> None:
    found = main_of("two_kernels.py")("m4")

    assert found["unrolled"] < found["plain"]  # type: ignore[index]


def test_seeing_where_the_time_goes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main_of("where_the_time_goes.py")("zoo:lenet5-int8", str(tmp_path / "r.html"))

    said = capsys.readouterr().out
    assert "% of all cycles:" in said and "issue" in said
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
