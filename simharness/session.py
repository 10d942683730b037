# SPDX-License-Identifier: MIT
"""One run from the model file to the report, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import simharness
from codegen import Compiled
from cycle_models.energy import Energy
from cycle_models.timing import Interval, Timing
from simharness import engines, execution, pipeline
from simharness.engines.base import Trace
from simharness.errors import translated
from simharness.options import Progress, RunOptions
from simharness.pipeline import Machine
from simharness.report import assemble
from simharness.report.model import (
    SCHEMA_VERSION,
    Board,
    Check,
    Engine,
    InputFile,
    Options,
    Report,
    Results,
    Sanitizer,
    Toolchain,
)
from simharness.toolchain import Built


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What running found; all None for a program that was not run."""

    trace: Trace | None = None
    check: Check | None = None
    timing: Timing | None = None
    energy: Energy | None = None
    sanitizer: Sanitizer | None = None


def run(model: str | Path, o: RunOptions, progress: Progress) -> Report:
    """What `simharness.run` promises."""
    wanted = pipeline.wishes(
        o.optimize, o.requant, o.planner, o.reference_kernels, o.patches, o.ram_limit_bytes
    )
    with translated():
        machine = pipeline.machine_for(o.core, o.board, o.clock_hz, o.place)
        emulator = engines.engine(o.engine)
        execution.require(emulator)
        path, model_input = pipeline.model_file(model)
        files = [model_input, *pipeline.machine_files(machine)]
        progress("generating and compiling C")
        compiled, built = pipeline.program(path, machine, wanted, o.toolchain)
        found = _Outcome()
        if built.fit.ok or o.emulate_anyway:
            from simharness import check  # and with it onnxruntime, which takes a while

            progress("computing references")
            suite = check.suite(path, compiled, inputs=o.inputs, samples=o.samples, seed=o.seed)
            progress(f"emulating {len(suite.inputs)} inferences")
            image = execution.image_for(emulator, compiled, machine, built, o.toolchain, o.timing)
            trace = emulator.run(image, suite.inputs, budget=o.budget)
            progress("comparing")
            checked = suite.compare(trace.outputs, built.image, budget=o.budget)
            progress("timing")
            timed = execution.time_trace(
                emulator, trace, image, machine, suite.inputs[0], budget=o.budget, mode=o.timing
            )
            used = execution.energy_of(timed, machine)
            watched = None
            if o.sanitize:
                progress("watching every memory access")
                watched = execution.watched(
                    compiled, built, machine, o.toolchain, suite.inputs[0], budget=o.budget
                )
            found = _Outcome(trace, checked, timed, used, watched)
    options = Options(
        o.optimize, o.requant, o.planner, o.reference_kernels,
        found.check.samples if found.check else 0, o.seed, o.budget, o.patches, o.ram_limit_bytes,
        o.place,
    )  # fmt: skip
    return _report(model_input.path, tuple(files), options, compiled, machine, built, found)


def clean(found: Sanitizer | None) -> bool:
    """Whether a watch, if there was one, saw nothing wrong."""
    return found is None or found.ok


def _measured(trace: Trace | None) -> Interval | None:
    """The cycles that an engine measured by itself, where it did."""
    if trace is None or trace.cycles is None:
        return None
    return Interval(trace.cycles, trace.cycles, trace.cycles)


def _report(
    title: str,
    files: tuple[InputFile, ...],
    options: Options,
    compiled: Compiled,
    machine: Machine,
    built: Built,
    found: _Outcome,
) -> Report:
    """The report of these stages."""
    trace, timed, tools = found.trace, found.timing, built.image.toolchain
    layers = assemble.layers(compiled, built.image, timed, found.energy)
    fit = assemble.fit(built.fit, enlarged=built.image.enlarged and trace is not None)
    cycles = timed.total.cycles if timed else _measured(trace)
    results = Results(
        ok=found.check is not None and found.check.ok and clean(found.sanitizer),
        fit=fit,
        check=found.check,
        instructions=trace.instructions if trace else None,
        cycles=assemble.cycles(cycles) if cycles else None,
        time_ms=assemble.scaled(cycles, 1e3 / machine.clock_hz) if cycles else None,
        energy_uj=assemble.scaled(found.energy.energy_uj, 1.0) if found.energy else None,
        macs=sum(layer.macs for layer in layers),
        removed=assemble.removed(compiled),
        memory=assemble.memory(compiled, built.image, trace.stack_bytes if trace else None),
        placement=assemble.placement(built),
        plan=assemble.plan(compiled),
        timing=assemble.timing(timed) if timed else None,
        supply=assemble.supply(found.energy) if found.energy else None,
        sanitizer=found.sanitizer,
        layers=layers,
        sources=assemble.sources(trace),
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=f"simharness {simharness.__version__}",
        model=title,
        inputs=files,
        options=options,
        toolchain=Toolchain(tools.name, tools.version, tools.flags) if tools else None,
        engine=Engine(trace.engine.name, trace.engine.version, trace.engine.fidelity)
        if trace
        else None,
        board=Board(machine.chip.name, machine.core, machine.clock_hz, machine.chip.description),
        results=results,
    )
