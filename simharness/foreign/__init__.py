# SPDX-License-Identifier: MIT
"""Unmodified firmware on a modelled board: boot it, speak to its console, time a window of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cycle_models.chip import load_chip
from cycle_models.core import load_core
from cycle_models.energy import Energy, energy_of
from cycle_models.memory import memory_system, stalls_of
from cycle_models.timing import ProfileTiming, Timing, time_profiles
from simharness.errors import UsageError, translated
from simharness.foreign import console, load
from simharness.foreign.board import Board, between
from simharness.foreign.functions import Function, by_function


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A firmware's run: the measured window with memories and without, and what it sent.

    `unknown` maps addresses of registers that the board file does not describe to how often they
    were read.
    """

    firmware: str
    sha256: str
    chip: str
    timing: Timing
    zero_wait: ProfileTiming
    energy: Energy
    functions: tuple[Function, ...]
    time_ms: float
    clock_hz: int
    sent: str
    unknown: dict[int, int]


def profile_console(
    firmware: str | Path,
    board: str | Path,
    script: str | Path,
    *,
    clock_hz: int | None = None,
    origin: int | None = None,
) -> Session:
    """Boot `firmware` on `board`, run a console script, and time the window that it measures.

    Raises UsageError (files, script, no `measure` window), FaultError (no answer in time, crash).
    """
    path = Path(script)
    try:
        steps = console.parse(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    with translated():
        chip = load_chip(board)
        clock = clock_hz or chip.clock_default_hz
        system = memory_system(chip, clock_hz=clock)
        core = load_core(chip.core)
        machine = Board(
            load.read(Path(firmware), chip, origin=origin), chip, system, clock_hz=clock
        )
        machine.talk(steps)
        if len(machine.window) < 2:
            raise UsageError(f"{path}: nothing was measured; add `measure TEXT` before the command")
        window, totals = between(*machine.window)
        code = machine.firmware.code
        stalls = {window.name: stalls_of(system, totals)}
        timing = time_profiles([window], code, core, memory=stalls)
        zero = time_profiles([window], code, core).total
        used = energy_of(timing.total.cycles, chip, clock)
    return Session(
        firmware=Path(firmware).name,
        sha256=hashlib.sha256(Path(firmware).read_bytes()).hexdigest(),
        chip=chip.name,
        timing=timing,
        zero_wait=zero,
        energy=used,
        functions=by_function(window, code, core, machine.firmware.symbols),
        time_ms=1e3 * timing.total.cycles.mid / clock,
        clock_hz=clock,
        sent=bytes(machine.devices.sent).decode("ascii", "replace"),
        unknown=dict(sorted(machine.devices.unknown.items())),
    )
