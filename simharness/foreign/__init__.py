# SPDX-License-Identifier: MIT
"""Unmodified firmware on a modelled board: boot it, speak to its console, time a window of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cycle_models.chip import load_chip
from cycle_models.core import load_core
from cycle_models.energy import Duty, Energy, energy, energy_of_profile
from cycle_models.memory import added, memory_system, stalls_of
from cycle_models.timing import ProfileTiming, Timing, time_profiles
from simharness.errors import UsageError, translated
from simharness.foreign import console, load
from simharness.foreign.board import Board, between, paid_between
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
    average: Duty | None = None


def profile_console(
    firmware: str | Path,
    board: str | Path,
    script: str | Path | None = None,
    *,
    between_places: tuple[str, str] | None = None,
    run_for_s: float | None = None,
    zero_wait: bool = False,
    timeout_s: float = 10.0,
    clock_hz: int | None = None,
    origin: int | None = None,
) -> Session:
    """Boot `firmware` on `board`, run a console script, and time a window.

    The window is what the script's `measure` opens, or `between_places`: two symbols or addresses,
    from the first time one is reached to the next time of the other; or, with `run_for_s`, so much
    emulated time after the script (from reset without one), less where the firmware ends before: in
    a branch to itself, a WFI that nothing ends, a breakpoint. `zero_wait` leaves memory stalls out
    of the result; the firmware's own timers advance with them all the same.

    Raises UsageError (files, script, no `measure` window), FaultError (no answer in time, crash).
    """
    steps = _steps(Path(script)) if script is not None else ()
    with translated():
        chip = load_chip(board)
        clock = clock_hz or chip.clock_default_hz
        system = memory_system(chip, clock_hz=clock)
        core = load_core(chip.core)
        machine = Board(
            load.read(Path(firmware), chip, origin=origin), chip, system, clock_hz=clock
        )
        if between_places is not None:
            first, second = (_place(machine.firmware, p) for p in between_places)
            machine.measure_between(first, second)
        machine.talk(steps)
        if between_places is not None:
            machine.finish_window(timeout_s)
        elif run_for_s is not None:
            machine.run_for(run_for_s)
        if len(machine.window) < 2:
            raise UsageError(
                "nothing was measured: add `measure TEXT` to the console script before the command "
                "that works, or say from where to where, or for how long"
            )
        opened, closed = machine.window[:2]
        window = between(opened, closed)
        paid = paid_between(opened, closed, machine.feed.blocks)
        code = machine.image.code
        stalls = {window.name: stalls_of(system, added(paid.values()))}
        timing = time_profiles([window], code, core, memory=None if zero_wait else stalls)
        zero = time_profiles([window], code, core).total
        used = energy(timing, chip, clock)
    return Session(
        firmware=Path(firmware).name,
        sha256=hashlib.sha256(Path(firmware).read_bytes()).hexdigest(),
        chip=chip.name,
        timing=timing,
        zero_wait=zero,
        energy=used,
        functions=by_function(
            window,
            code,
            core,
            machine.firmware.symbols,
            system=system,
            paid=None if zero_wait else paid,
            energy_uj=lambda t: energy_of_profile(t, chip, clock).energy_uj.mid,
        ),
        time_ms=1e3 * timing.total.cycles.mid / clock,
        clock_hz=clock,
        sent=bytes(machine.devices.sent).decode("ascii", "replace"),
        unknown=dict(sorted(machine.devices.unknown.items())),
    )


def _steps(path: Path) -> tuple[console.Step, ...]:
    try:
        return console.parse(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error


def _place(firmware: load.Firmware, text: str) -> int:
    """The address of a symbol, or the address that `text` is."""
    for symbol in firmware.symbols:
        if symbol.name == text:
            return symbol.address
    try:
        return int(text, 0) & ~1
    except ValueError:
        has = "has no symbols" if not firmware.symbols else f"has no function {text!r}"
        raise UsageError(f"{firmware.name} {has}; give an address as 0x...") from None
