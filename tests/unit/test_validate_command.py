# SPDX-License-Identifier: MIT
"""The commands that hold models to measurements: validate and calibrate."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from simharness import cli


def test_validate_keeps_calibration_and_validation_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["validate", "-q"]) == 0
    out = capsys.readouterr().out
    assert out.index("calibration\n") < out.index("validation\n")
    assert "mean absolute error" in out
    assert cli.main(["validate", "--format", "csv", "-q"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {r["use"] for r in rows} >= {"calibration", "validation"}
    cores = [r for r in rows if r["use"] == "validation"]
    assert all("CM33" in r["subject"] for r in cores)
    for r in rows:
        error = 100 * (float(r["predicted"]) / float(r["measured"]) - 1)
        assert float(r["error_percent"]) == pytest.approx(error, abs=0.01)


def test_calibrate_writes_a_board_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "mine.csv"
    rows.write_text("clock_hz,current_ma\n16000000,6.0\n80000000,18.0\n180000000,40.0\n")
    board = tmp_path / "mine.toml"
    assert cli.main(["calibrate", "--board", "STM32F446", str(rows), "-o", str(board)]) == 0
    assert "left out" in capsys.readouterr().err
    assert 'status = "fitted"' in board.read_text()
    rows.write_text("clock_hz,current\n1,2\n1,3\n")
    assert cli.main(["calibrate", "--board", "STM32F446", str(rows)]) == 2
    assert "lacks its unit" in capsys.readouterr().err
