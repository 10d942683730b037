# SPDX-License-Identifier: MIT
"""Modelled power against published measurements, within the error that FIDELITY.md states."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

import cycle_models
from cycle_models.chip import chip_names, load_chip
from cycle_models.core import PARTS
from cycle_models.energy import duty, energy_of, energy_of_profile, run_current
from cycle_models.errors import MachineError
from cycle_models.published import board_power_mw, lenet_current_ma, long_run
from cycle_models.timing import Interval, ProfileTiming

_MEASURED = Path(cycle_models.__file__).parent / "measured"


def _rows(name: str) -> list[dict[str, str]]:
    with (_MEASURED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "row", _rows("run_current.csv"), ids=lambda r: f"{r['chip']}-{r['clock_hz']}-{r['workload']}"
)
def test_energy_of_published_lenets(row: dict[str, str]) -> None:
    """Measured time times modelled current: within 8 % of the measured energy.

    The published energies have two significant digits at high clocks, so current times voltage is
    compared, which is their unrounded source.
    """
    chip, clock = load_chip(row["chip"]), int(row["clock_hz"])
    cycles = float(row["time_ms"]) * clock / 1e3
    modelled = energy_of(Interval(cycles, cycles, cycles), chip, clock).energy_uj.mid
    measured = float(row["time_ms"]) * float(row["current_ma"]) * 3.3
    assert modelled == pytest.approx(measured, rel=0.08)


@pytest.mark.parametrize("chip", ["STM32F446", "STM32L496"])
def test_the_mix_of_instructions_explains_what_it_is_fitted_to(chip: str) -> None:
    """Float and int8 rows apart: less error with each workload's own mix than with one for both."""
    rows = [r for r in _rows("run_current.csv") if r["chip"] == chip]

    def mean_error(predicted: Callable[[dict[str, str]], float]) -> float:
        return statistics.mean(abs(predicted(r) / float(r["current_ma"]) - 1) for r in rows)

    by_mix = mean_error(lambda r: lenet_current_ma(chip, int(r["clock_hz"]), r["workload"]))
    alike = mean_error(lambda r: run_current(load_chip(chip), int(r["clock_hz"])).current_ma.mid)
    assert by_mix < alike
    for r in rows:
        found = lenet_current_ma(chip, int(r["clock_hz"]), r["workload"])
        assert found == pytest.approx(float(r["current_ma"]), rel=0.08)


def _timed(mix: dict[str, int], reads: int | None) -> ProfileTiming:
    cycles = Interval(1e6, 1e6, 1e6)
    return ProfileTiming("x", cycles, dict.fromkeys(PARTS, 0.0), 0.0, 10, mix, (), reads)


def test_energy_splits_by_class_and_by_reads_of_the_flash() -> None:
    chip = load_chip("STM32F446")
    usual = round(0.023e6)
    float_code = energy_of_profile(_timed({"fp": 6, "load": 4}, usual), chip, 180_000_000)
    int_code = energy_of_profile(_timed({"alu": 6, "load": 4}, usual), chip, 180_000_000)
    assert float_code.energy_uj.mid > int_code.energy_uj.mid
    for found in (float_code, int_code):
        assert sum(found.by_class.values()) == pytest.approx(found.energy_uj.mid)
        assert found.energy_uj.low < found.energy_uj.mid < found.energy_uj.high
        assert found.power_mw.mid == pytest.approx(found.energy_uj.mid / found.time_ms.mid)
    thirsty = energy_of_profile(_timed({"alu": 6, "load": 4}, usual + 100_000), chip, 180_000_000)
    more = thirsty.energy_uj.mid - int_code.energy_uj.mid
    assert more == pytest.approx(100_000 * 1.5e-3)
    assert thirsty.by_class["flash_reads"] == pytest.approx((usual + 100_000) * 1.5e-3)
    unknown = energy_of_profile(_timed({"alu": 6, "load": 4}, None), chip, 180_000_000)
    assert "flash_reads" not in unknown.by_class


@pytest.mark.parametrize(
    "row",
    [r for r in _rows("board_power.csv") if r["chip"] == "nRF52840" and long_run(r)],
    ids=lambda r: r["workload"],
)
def test_board_power_of_the_nano(row: dict[str, str]) -> None:
    """Runs that fill the averaging window; what the board takes beside its chip is fitted."""
    power = board_power_mw("nRF52840", int(row["clock_hz"]))
    assert power == pytest.approx(float(row["power_mw"]), rel=0.01)


def _left_out(chip_name: str) -> list[float]:
    """Relative errors when a clock is predicted from its neighbours only."""
    chip = load_chip(chip_name)
    table = chip.table["energy"]["run_flash"]
    clocks, currents = table["clock_hz"], table["current_ma"]
    errors = []
    for k in range(1, len(clocks) - 1):
        f0, f1 = clocks[k - 1], clocks[k + 1]
        i0, i1 = currents[k - 1], currents[k + 1]
        guess = i0 + (i1 - i0) * (clocks[k] - f0) / (f1 - f0)
        errors.append(abs(guess / currents[k] - 1))
    return errors


@pytest.mark.parametrize("chip", ["STM32F446", "STM32L496"])
def test_no_clock_stands_alone(chip: str) -> None:
    """Leave one out: each clock follows from its neighbours within 8 %."""
    assert max(_left_out(chip)) < 0.08


@pytest.mark.parametrize(
    "row",
    [r for r in _rows("board_power.csv") if r["chip"] == "RP2040"],
    ids=lambda r: r["workload"],
)
def test_board_power_of_the_pico(row: dict[str, str]) -> None:
    run = run_current(load_chip("RP2040"), int(row["clock_hz"]))
    assert run.current_ma.mid * run.supply_v == pytest.approx(float(row["power_mw"]), rel=0.10)


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_has_an_energy_model(name: str) -> None:
    chip = load_chip(name)
    run = run_current(chip, chip.clock_default_hz)
    assert 0 < run.current_ma.low <= run.current_ma.mid <= run.current_ma.high
    assert run.source and run.status


def test_average_power_and_battery_life() -> None:
    chip = load_chip("STM32L496")
    used = energy_of(Interval(8e5, 8e5, 8e5), chip, 80_000_000)  # 10 ms
    found = duty(used, chip, 1.0, battery_mah=220)
    assert found.active_share == pytest.approx(0.01)
    expected = used.energy_uj.mid / 1e3 + 0.0026 * 3.3 * 0.99
    assert found.average_mw.mid == pytest.approx(expected)
    assert found.battery_hours is not None
    assert found.battery_hours.mid == pytest.approx(220 * 3.3 / expected)
    assert found.battery_hours.low < found.battery_hours.mid < found.battery_hours.high


def test_a_run_longer_than_the_period_is_refused() -> None:
    chip = load_chip("STM32L496")
    used = energy_of(Interval(8e8, 8e8, 8e8), chip, 80_000_000)
    with pytest.raises(MachineError, match="longer than the period"):
        duty(used, chip, 1.0)
