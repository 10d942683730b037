# SPDX-License-Identifier: MIT
"""Networks on a real board, beside what the models say: the table that `calibrate` reads.

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
from simharness.engines.gdb import SECONDS, Gdb
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import FaultError, GateError, translated
from simharness.options import BUDGET, Progress, silent
from simharness.pipeline import Machine


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
    seconds: float = SECONDS,
    progress: Progress = silent,
) -> tuple[Measurement, ...]:
    """Run every model on the board behind the GDB server at `target` (HOST:PORT).

    Raises ToolMissingError when no server answers, GateError when the board computes other outputs
    than the emulator, FaultError when it faults, hangs, or has no counter that advances;
    UsageError, BuildError.
    """
    with translated():
        machine = pipeline.machine_for(core, board, clock_hz)
        rows = []
        for model in models:
            rows.append(_one(model, target, machine, toolchain, optimize, seconds, progress))
    return tuple(rows)


def table(rows: Sequence[Measurement]) -> str:
    """The rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(f.name for f in fields(Measurement))
    writer.writerows(astuple(row) for row in rows)
    return out.getvalue()


def _one(
    model: str | Path,
    target: str,
    machine: Machine,
    toolchain: str,
    optimize: str,
    seconds: float,
    progress: Progress,
) -> Measurement:
    path, given = pipeline.model_file(model)
    progress(f"building {given.path}")
    wanted = pipeline.wishes(optimize, "exact", "auto", False)
    compiled = pipeline.generate(path, machine.core, wanted)
    built = pipeline.link(compiled, machine, toolchain, measuring=True)
    if not built.fit.ok:
        raise GateError(f"{given.path} does not fit {machine.chip.name}")
    values = crosscheck.sample(compiled, 0)
    progress(f"running {given.path} on {target}")
    seen = Gdb(target, seconds=seconds).run(built.image, [values], budget=BUDGET)
    progress(f"modelling {given.path}")
    emulator = UnicornEngine()
    emulated = emulator.run(built.image, [values], budget=BUDGET)
    if seen.outputs != emulated.outputs:
        raise GateError(f"{given.path}: the board computes other outputs than the emulator")
    if seen.cycles is None:
        raise FaultError(f"{given.path}: {seen.engine.version}")
    modelled = [
        execution.time_trace(
            emulator, emulated, built.image, machine, values, budget=BUDGET, mode=mode
        )
        for mode in ("zero-wait", "auto")
    ]
    core_cycles, all_cycles = (round(m.total.cycles.mid) if m else 0 for m in modelled)
    tools = built.image.toolchain
    return Measurement(
        workload=given.path,
        chip=machine.chip.name,
        core=machine.core,
        clock_hz=machine.clock_hz,
        measured_cycles=seen.cycles,
        core_cycles=core_cycles,
        stall_cycles=max(0, all_cycles - core_cycles),
        counter=seen.engine.version.rpartition(", ")[2],
        compiler=tools.version if tools else "",
    )
