# SPDX-License-Identifier: MIT
"""Average power and battery life of a run that recurs, from the command line."""

from __future__ import annotations

import json

import pytest

from cycle_models.chip import load_chip
from simharness import cli

_RUN = ("run", "zoo:lenet5-int8", "--board", "STM32L496", "--samples", "1", "-q")


def _report(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, object]:
    assert cli.main([*_RUN, "--format", "json", *more]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert isinstance(results, dict)
    return results


def test_average_power_is_the_run_and_the_rest_of_the_period(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = _report(capsys)
    assert "average" not in plain
    found = _report(capsys, "--period", "1s", "--battery", "220")
    average, energy, time = found["average"], found["energy_uj"]["mid"], found["time_ms"]["mid"]  # type: ignore[index]
    idle = load_chip("STM32L496").table["energy"]["stop"]["current_ma"] * 3.3
    expected = energy / 1e3 + idle * (1 - time / 1e3)
    assert average["average_mw"]["mid"] == pytest.approx(expected, rel=1e-3)  # type: ignore[index]
    hours = average["battery_hours"]  # type: ignore[index]
    assert hours["mid"] == pytest.approx(220 * 3.3 / expected, rel=1e-3)
    assert hours["low"] < hours["mid"] < hours["high"]


def test_a_share_of_the_time_stands_for_a_period(capsys: pytest.CaptureFixture[str]) -> None:
    found = _report(capsys, "--duty", "1%")
    average, time = found["average"], found["time_ms"]["mid"]  # type: ignore[index]
    assert average["active_share"] == pytest.approx(0.01, rel=1e-3)  # type: ignore[index]
    assert average["period_s"] == pytest.approx(time / 10, rel=1e-3)  # type: ignore[index]
    assert "battery_hours" not in average  # type: ignore[operator]


def test_the_table_tells_power_and_battery_life(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*_RUN, "--period", "1s", "--battery", "220"]) == 0
    out = capsys.readouterr().out
    assert "average power" in out and "battery life" in out and "220 mAh" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--battery", "220"], "needs --period or --duty"),
        (["--period", "1s", "--duty", "1%"], "not both"),
        (["--period", "1us"], "longer than the period"),
        (["--period", "1"], "is no time"),
        (["--duty", "200%"], "no share of the time"),
    ],
)
def test_a_wrong_schedule_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main([*_RUN, *options])
    except SystemExit as stopped:  # argparse
        status = int(stopped.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err
