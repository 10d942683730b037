# SPDX-License-Identifier: MIT
"""The library: `run` and `build`. Every command is a thin skin over this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import simharness
from codegen import Compiled
from cycle_models.energy import Energy
from cycle_models.timing import Timing
from simharness import engines, execution, pipeline
from simharness.engines.base import Trace
from simharness.errors import translated
from simharness.files import write_directory
from simharness.pipeline import Machine, Progress
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
    Toolchain,
)
from simharness.toolchain import Built

BUDGET = 20_000_000_000
"""Instructions per inference, unless told otherwise: two minutes of a fast core."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What running found; all None for a program that was not run."""

    trace: Trace | None = None
    check: Check | None = None
    timing: Timing | None = None
    energy: Energy | None = None


def run(
    model: str | Path,
    *,
    core: str | None = None,
    board: str | Path | None = None,
    clock_hz: int | None = None,
    toolchain: str = "auto",
    optimize: str = "balanced",
    requant: str = "exact",
    planner: str = "auto",
    reference_kernels: bool = False,
    engine: str = engines.DEFAULT,
    inputs: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    emulate_anyway: bool = False,
    budget: int = BUDGET,
    timing: execution.TimingMode = "auto",
    progress: Progress = pipeline.silent,
) -> Report:
    """Compile `model` (a path or `zoo:NAME`), run it on an emulated board, check and time it.

    `core` stands for its default board; `board` is a chip's name or the path of a TOML file.
    `inputs` is an .npz with samples under the model's input names, of which the first `samples` are
    taken (all by default); without it `samples` random ones (4 by default) are drawn from `seed`. A
    network that does not fit is built and measured but runs only with `emulate_anyway`, on enlarged
    memories. `timing` "auto" simulates the board's flash and caches, "zero-wait" does without.
    Outputs that differ from ONNX Runtime's are no error: `report.ok` is False then and
    `report.results.check.divergence` tells where.
    Raises UsageError, BuildError, ToolMissingError, FaultError.
    """
    wanted = pipeline.wishes(optimize, requant, planner, reference_kernels)
    with translated():
        machine = pipeline.machine_for(core, board, clock_hz)
        emulator = engines.engine(engine)
        execution.require(emulator)
        path, model_input = pipeline.model_file(model)
        files = [model_input, *pipeline.machine_files(machine)]
        progress("generating C")
        compiled = pipeline.generate(path, machine.core, wanted)
        progress("compiling C")
        built = pipeline.link(compiled, machine, toolchain)
        found = _Outcome()
        if built.fit.ok or emulate_anyway:
            from simharness import check  # and with it onnxruntime, which takes a while

            progress("computing references")
            suite = check.suite(path, compiled, inputs=inputs, samples=samples, seed=seed)
            progress(f"emulating {len(suite.inputs)} inferences")
            image = execution.image_for(emulator, compiled, machine, built, toolchain)
            trace = emulator.run(image, suite.inputs, budget=budget)
            progress("comparing")
            checked = suite.compare(trace.outputs, built.image, budget=budget)
            progress("timing")
            timed = execution.time_trace(
                trace, image, machine, suite.inputs[0], budget=budget, mode=timing
            )
            used = execution.energy_of(timed, machine)
            found = _Outcome(trace, checked, timed, used)
    options = Options(
        optimize, requant, planner, reference_kernels,
        found.check.samples if found.check else 0, seed, budget,
    )  # fmt: skip
    return _report(model_input.path, tuple(files), options, compiled, machine, built, found)


def build(
    model: str | Path,
    directory: str | Path,
    *,
    core: str | None = None,
    board: str | Path | None = None,
    optimize: str = "balanced",
    requant: str = "exact",
    planner: str = "auto",
    reference_kernels: bool = False,
    name: str | None = None,
) -> tuple[Path, ...]:
    """Write the C of `model` into `directory`, which is made if absent; the files' paths, sorted.

    Whoever looks sees each file whole or not at all, and a new directory with all of its files or
    not at all; nothing is written when generation fails. Raises UsageError.
    """
    wanted = pipeline.wishes(optimize, requant, planner, reference_kernels)
    with translated():
        machine = pipeline.machine_for(core, board, None)
        path, _ = pipeline.model_file(model)
        compiled = pipeline.generate(path, machine.core, wanted, name)
    return write_directory(Path(directory), compiled.sources)


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
    cycles = timed.total.cycles if timed else None
    results = Results(
        ok=found.check is not None and found.check.ok,
        fit=fit,
        check=found.check,
        instructions=trace.instructions if trace else None,
        cycles=assemble.cycles(cycles) if cycles else None,
        time_ms=assemble.scaled(cycles, 1e3 / machine.clock_hz) if cycles else None,
        energy_uj=assemble.scaled(found.energy.energy_uj, 1.0) if found.energy else None,
        macs=sum(layer.macs for layer in layers),
        removed=assemble.removed(compiled),
        memory=assemble.memory(compiled, built.image, trace.stack_bytes if trace else None),
        plan=assemble.plan(compiled),
        timing=assemble.timing(timed) if timed else None,
        supply=assemble.supply(found.energy) if found.energy else None,
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
