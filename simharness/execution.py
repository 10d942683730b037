# SPDX-License-Identifier: MIT
"""Running an image on an engine and putting time to what was counted."""

from __future__ import annotations

from dataclasses import replace

from codegen import Compiled
from cycle_models.core import load_core
from cycle_models.energy import Energy, energy
from cycle_models.timing import Timing, time_profiles
from simharness import native, pipeline
from simharness.engines.base import Engine, Trace
from simharness.errors import ToolMissingError
from simharness.image import Image
from simharness.options import TimingMode
from simharness.pipeline import Machine
from simharness.report.model import Sanitizer
from simharness.toolchain import ROOMY, Built
from simharness.toolchain.placement import NOTHING_ASKED


def require(engine: Engine) -> None:
    """Raises ToolMissingError, with the command that helps, when `engine` cannot run here."""
    if absent := engine.missing():
        raise ToolMissingError(f"engine {engine.name}: {absent.what}; {absent.remedy}")


def image_for(
    engine: Engine,
    compiled: Compiled,
    machine: Machine,
    built: Built,
    toolchain: str,
    mode: TimingMode = "zero-wait",
) -> Image:
    """The image that `engine` runs: `built`, or one for the only memories that the engine knows.

    Those stand for the chip's own, one by one, where the chip's are to be simulated (`mode`) or
    were asked for by name. Raises UsageError where the engine has no room for them.
    """
    platform = getattr(engine, "platform", None)
    if getattr(engine, "measuring", False):
        return pipeline.link(compiled, machine, toolchain, measuring=True).image
    if platform is None:
        return built.image
    memories = platform(machine.core)
    asked = machine.place != NOTHING_ASKED
    move = getattr(engine, "moved", None)
    if move is not None and (asked or (mode != "zero-wait" and not built.image.enlarged)):
        memories, machine = (), replace(machine, chip=move(machine.chip, built.placement))
    elif asked:  # the engine must have them, where they are
        memories = ()
    own = pipeline.link(compiled, machine, toolchain, memories=memories, semihosting=True)
    return own.image


def time_trace(
    engine: Engine,
    trace: Trace,
    image: Image,
    machine: Machine,
    values: tuple[bytes, ...],
    *,
    budget: int,
    mode: TimingMode = "auto",
) -> Timing | None:
    """Cycles of what `engine` counted in `trace`, None where it counted nothing.

    Memories that are not zero-wait are simulated on a run of their own (of `values`), unless `mode`
    is "zero-wait", where the chip has any, the engine can, and the native simulator can be built:
    see `Timing.mode`.
    """
    if not trace.profiles:
        return None
    core = load_core(machine.core)
    if mode == "zero-wait":
        return time_profiles(trace.profiles, image.code, core)
    simulate = getattr(engine, "memory_stalls", None)
    slow = bool(machine.chip.table.get("region")) and not image.enlarged
    if not slow or simulate is None or native.load() is None:
        return time_profiles(trace.profiles, image.code, core)
    stalls = simulate(image, values, machine.chip, machine.clock_hz, budget=budget)
    return time_profiles(trace.profiles, image.code, core, memory=stalls)


def energy_of(timed: Timing | None, machine: Machine) -> Energy | None:
    """The energy of what was timed; None where nothing was, or the board has no run current."""
    if timed is None or "energy" not in machine.chip.table:
        return None
    return energy(timed, machine.chip, machine.clock_hz, code=machine.place.code or None)


def watched(
    compiled: Compiled,
    built: Built,
    machine: Machine,
    toolchain: str,
    values: tuple[bytes, ...],
    *,
    budget: int,
) -> Sanitizer:
    """Two runs under watch: as planned, and with red zones around every tensor."""
    from simharness import sanitize

    rules = sanitize.contract(compiled, built.image)
    planned = sanitize.sanitize(built.image, values, rules, budget=budget)
    apart = sanitize.spread(compiled)
    image = pipeline.link(apart, machine, toolchain, memories=ROOMY).image
    zoned = sanitize.sanitize(image, values, sanitize.contract(apart, image), budget=budget)
    known = {(v.layer, v.what, v.tensor) for v in planned.violations}
    more = tuple(v for v in zoned.violations if (v.layer, v.what, v.tensor) not in known)
    return replace(planned, ok=planned.ok and zoned.ok, violations=(*planned.violations, *more))
