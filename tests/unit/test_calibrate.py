# SPDX-License-Identifier: MIT
"""Calibration finds what made the measurements, stays bounded, and says how far to trust it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle_models.calibrate import calibrate
from cycle_models.chip import load_chip
from cycle_models.energy import run_current
from cycle_models.errors import MachineError
from cycle_models.memory import memory_system


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_current_that_made_the_rows_is_found(tmp_path: Path) -> None:
    rows = "\n".join(f"{f},{2.0 + 0.25e-6 * f}" for f in range(16_000_000, 180_000_000, 16_000_000))
    path = _csv(tmp_path, "clock_hz,current_ma\n" + rows + "\n")
    found = calibrate(load_chip("STM32F446"), path)
    written = tmp_path / "mine.toml"
    written.write_text(found.toml, encoding="utf-8")
    run = run_current(load_chip(written), 96_000_000)
    assert run.current_ma.mid == pytest.approx(26.0, rel=0.01)
    assert run.status == "fitted"
    assert "mine.csv" in run.source
    assert all(abs(r.error_percent) < 2 for r in found.residuals)


def test_the_scale_of_stalls_is_found_and_used(tmp_path: Path) -> None:
    rows = "\n".join(f"{c + 2 * s},{c},{s}" for c, s in ((1e6, 4e5), (2e6, 3e5), (5e5, 4e5)))
    path = _csv(tmp_path, "measured_cycles,core_cycles,stall_cycles\n" + rows + "\n")
    found = calibrate(load_chip("STM32F746"), path)
    written = tmp_path / "mine.toml"
    written.write_text(found.toml, encoding="utf-8")
    assert memory_system(load_chip(written)).spread.scale == pytest.approx(2.0, rel=0.15)


def test_few_wild_rows_stay_bounded(tmp_path: Path) -> None:
    text = "measured_cycles,core_cycles,stall_cycles\n1e9,1e6,1e3\n1e9,1e6,1e3\n"
    found = calibrate(load_chip("STM32F746"), _csv(tmp_path, text))
    assert "scale = 1.0" in found.toml or "scale = 4.0000" in found.toml
    assert max(abs(r.left_out_percent) for r in found.residuals) > 50


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("clock_hz,current\n1,2\n1,2\n", r"mine\.csv:1: column 'current' lacks its unit"),
        ("clock_hz,current_ma\n1,x\n1,2\n", r"mine\.csv:2: current_ma is no number: 'x'"),
        ("clock_hz,current_ma\n1,2\n1,-2\n", r"mine\.csv:3: current_ma must be above zero"),
        ("clock_hz,current_ma\n1,2\n", "two rows"),
        ("color,shape\nred,round\nblue,square\n", "needs the columns clock_hz, current_ma, or"),
    ],
)
def test_bad_measurements_are_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(MachineError, match=why):
        calibrate(load_chip("STM32F446"), _csv(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        calibrate(load_chip("STM32F446"), tmp_path / "absent.csv")
