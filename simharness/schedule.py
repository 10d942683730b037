# SPDX-License-Identifier: MIT
"""What an inference costs when it recurs: average power, and how long a battery lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cycle_models.chip import Chip
from cycle_models.energy import Duty, Energy, duty
from simharness import pipeline
from simharness.errors import UsageError, translated
from simharness.foreign import Session
from simharness.report import assemble
from simharness.report.model import Report


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a run recurs: every `period_s` seconds, or so that it takes `share` of the time.

    `battery_mah`, where given, is the capacity that is asked about.
    """

    period_s: float | None = None
    share: float | None = None
    battery_mah: float | None = None

    def __bool__(self) -> bool:
        return self != Schedule()


def scheduled(
    report: Report, schedule: Schedule, *, core: str | None, board: str | Path | None
) -> Report:
    """The report with `results.average`, for the machine that it was made for.

    Raises UsageError: no energy to average, a run longer than the period, a chip without a stop
    current, a share outside 0 to 1, or neither or both of period and share.
    """
    used = assemble.energy_behind(report)
    if used is None:
        raise UsageError("no average power: this run has no energy")
    with translated():
        chip = pipeline.machine_for(core, board, report.board.clock_hz).chip
        found = _duty(used, schedule, chip)
    average = assemble.average(found, schedule.battery_mah)
    return replace(report, results=replace(report.results, average=average))


def session_scheduled(session: Session, schedule: Schedule, chip: Chip) -> Session:
    """The same for a whole firmware's measured window."""
    with translated():
        return replace(session, average=_duty(session.energy, schedule, chip))


def _duty(used: Energy, schedule: Schedule, chip: Chip) -> Duty:
    if (schedule.period_s is None) == (schedule.share is None):
        raise UsageError(
            "average power needs --period or --duty: how often does the network run?"
            if schedule.period_s is None
            else "give --period or --duty, not both"
        )
    period_s = schedule.period_s
    if period_s is None:
        if schedule.share is None or not 0 < schedule.share <= 1:
            raise UsageError(f"a share of the time lies between 0 and 1: {schedule.share}")
        period_s = used.time_ms.mid / 1e3 / schedule.share
    return duty(used, chip, period_s, battery_mah=schedule.battery_mah)
