# SPDX-License-Identifier: MIT
"""Networks and micro-benchmarks on a real board, beside what the models say: the table that
`calibrate` reads.

    rows = measure(["a.onnx", "b.onnx"], "localhost:3333", board="STM32F446", clock_hz=16_000_000)
    Path("mine.csv").write_text(table(rows))

The program sets no clock: the board runs at that of its reset, unless its boot code has set
another. `clock_hz` has to be the true one, because flash wait states depend on it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from simharness import crosscheck, execution, pipeline
from simharness.bench import micro_program
from simharness.bench.microbench import Microbench
from simharness.engines.gdb import SECONDS, Gdb
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import FaultError, GateError, UsageError, translated
from simharness.firmware import Port, Program
from simharness.options import BUDGET, Progress, silent
from simharness.pipeline import Machine, Wishes
from simharness.toolchain import Built, build


@dataclass(frozen=True, slots=True)
class Measurement:
    """One network: cycles on the board, and the model's two parts of them (mid values).

    `counter` is the register that was read, `server` the GDB server in front of the board.
    """

    workload: str
    chip: str
    core: str
    clock_hz: int
    measured_cycles: int
    core_cycles: int
    stall_cycles: int
    counter: str
    compiler: str


def measure(
    models: Sequence[str | Path],
    target: str,
    *,
    core: str | None = None,
    board: str | Path | None = None,
    clock_hz: int | None = None,
    toolchain: str = "auto",
    optimize: str = "balanced",
    micro: bool = False,
    seconds: float = SECONDS,
    progress: Progress = silent,
) -> tuple[Measurement, ...]:
    """Run every model, and with `micro` every micro-benchmark of the core, on the board behind the
    GDB server at `target` (HOST:PORT, or pyocd).

    Raises ToolMissingError when no server answers, GateError when the board computes other outputs
    than the emulator, FaultError when it faults, hangs, or has no counter that advances;
    UsageError, BuildError.
    """
    with translated():
        machine = pipeline.machine_for(core, board, clock_hz)
        on = _On(machine, target, toolchain, seconds, progress)
        wanted = pipeline.wishes(optimize, "exact", "auto", False)
        rows = [_network(model, wanted, on) for model in models]
        if micro:
            rows += [_micro(bench, on) for bench in micro_program.benches(machine.core)]
        if not rows:
            raise UsageError("nothing to measure: name models, or ask for the micro-benchmarks")
    return tuple(rows)


def table(rows: Sequence[Measurement]) -> str:
    """The rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(f.name for f in fields(Measurement))
    writer.writerows(astuple(row) for row in rows)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _On:
    """Where and how to measure."""

    machine: Machine
    target: str
    toolchain: str
    seconds: float
    progress: Progress


def _network(model: str | Path, wanted: Wishes, on: _On) -> Measurement:
    path, given = pipeline.model_file(model)
    on.progress(f"building {given.path}")
    compiled = pipeline.generate(path, on.machine.core, wanted)
    built = pipeline.link(compiled, on.machine, on.toolchain, measuring=True)
    return _row(given.path, built, crosscheck.sample(compiled, 0), on)


def _micro(bench: Microbench, on: _On) -> Measurement:
    port = (Port("int32_t", 1),)
    name = micro_program.NAME
    built = build(
        micro_program.sources(bench, on.machine.core), on.machine.core, on.machine.chip,
        program=Program(name, f"{name}.h", port, port), toolchain=on.toolchain, measuring=True,
    )  # fmt: skip
    return _row(f"{micro_program.PREFIX}{bench.id}", built, (bytes(4),), on)


def _row(workload: str, built: Built, values: tuple[bytes, ...], on: _On) -> Measurement:
    machine, progress = on.machine, on.progress
    if not built.fit.ok:
        raise GateError(f"{workload} does not fit {machine.chip.name}")
    progress(f"running {workload} on {on.target}")
    seen = Gdb(on.target, seconds=on.seconds).run(built.image, [values], budget=BUDGET)
    progress(f"modelling {workload}")
    emulator = UnicornEngine()
    emulated = emulator.run(built.image, [values], budget=BUDGET)
    if seen.outputs != emulated.outputs:
        raise GateError(f"{workload}: the board computes other outputs than the emulator")
    if seen.cycles is None:
        raise FaultError(f"{workload}: {seen.engine.version}")
    modelled = [
        execution.time_trace(
            emulator, emulated, built.image, machine, values, budget=BUDGET, mode=mode
        )
        for mode in ("zero-wait", "auto")
    ]
    core_cycles, all_cycles = (round(m.total.cycles.mid) if m else 0 for m in modelled)
    tools = built.image.toolchain
    return Measurement(
        workload=workload,
        chip=machine.chip.name,
        core=machine.core,
        clock_hz=machine.clock_hz,
        measured_cycles=seen.cycles,
        core_cycles=core_cycles,
        stall_cycles=max(0, all_cycles - core_cycles),
        counter=seen.engine.version.rpartition(", ")[2],
        compiler=tools.version if tools else "",
    )
