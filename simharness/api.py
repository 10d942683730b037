# SPDX-License-Identifier: MIT
"""The library: `run` and `build`. Every command is a thin skin over this module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simharness import reuse as earlier
from simharness.errors import translated
from simharness.files import write_directory
from simharness.options import BUDGET, Progress, RunOptions, TimingMode, silent

if TYPE_CHECKING:
    from simharness.report.model import Report

__all__ = ["BUDGET", "build", "profile", "run"]


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
    engine: str = "unicorn",
    inputs: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    emulate_anyway: bool = False,
    budget: int = BUDGET,
    timing: TimingMode = "auto",
    sanitize: bool = False,
    patches: str | None = None,
    ram_limit_bytes: int | None = None,
    place: str = "",
    reuse: bool = False,
    progress: Progress = silent,
) -> Report:
    """Compile `model` (a path or `zoo:NAME`), run it on an emulated board, check and time it.

    `core` stands for its default board; `board` is a chip's name or the path of a TOML file.
    `inputs` is an .npz with samples under the model's input names, of which the first `samples` are
    taken (all by default); without it `samples` random ones (4 by default) are drawn from `seed`. A
    network that does not fit is built and measured but runs only with `emulate_anyway`, on enlarged
    memories. `timing` "auto" simulates the board's flash and caches, "zero-wait" does without.
    `sanitize` runs the first sample once more under watch of every memory access: `report.ok` is
    False when a layer touches what is not its own, and `report.results.sanitizer` says what.
    `patches` ("auto", "off" or "RxC"; "auto" under a limit, else "off", by default) runs the early
    layers tile by tile; `ram_limit_bytes` asks for the cheapest program whose arena is no larger,
    and `report.results.plan.choices` says what for.
    `place` says which of the board's memories holds what, as in "code=itcm,arena=dtcm" (kinds:
    code, weights, data, arena, stack); what is not named stays where the board has it.
    `reuse` takes the report of an earlier equal run from the cache, where nothing that it rests on
    has changed since: model, options, machine files, compiler, libraries, or simharness itself.
    Outputs that differ from ONNX Runtime's are no error: `report.ok` is False then and
    `report.results.check.divergence` tells where.
    Raises UsageError, BuildError, ToolMissingError, FaultError.
    """
    options = RunOptions(
        core, board, clock_hz, toolchain, optimize, requant, planner, reference_kernels, engine,
        inputs, samples, seed, emulate_anyway, budget, timing, sanitize,
        _patches(patches, ram_limit_bytes), ram_limit_bytes, place,
    )  # fmt: skip
    key = earlier.key(model, options) if reuse else ""
    known = earlier.find(key) if key else None
    if known is not None:
        return known
    from simharness import session  # and with it the whole pipeline

    report = session.run(model, options, progress)
    if key and report.ok and earlier.key(model, options) == key:  # nothing changed meanwhile
        earlier.keep(key, report)
    return report


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
    patches: str | None = None,
    ram_limit_bytes: int | None = None,
    place: str = "",
    name: str | None = None,
    renode: str | Path | None = None,
) -> tuple[Path, ...]:
    """Write the C of `model` into `directory`, which is made if absent; the files' paths, sorted.

    With `place` (as in `run`) it is the C that `run` measures, its arena in several memories where
    need be, and NAME_place.ld is written beside it, for a linker script of one's own.
    With `renode` a second directory gets what Renode needs to run it (simharness.renode_project).

    Whoever looks sees each file whole or not at all, and a new directory with all of its files or
    not at all; nothing is written when generation fails. Raises UsageError.
    """
    from simharness import pipeline

    wanted = pipeline.wishes(
        optimize, requant, planner, reference_kernels,
        _patches(patches, ram_limit_bytes), ram_limit_bytes,
    )  # fmt: skip
    with translated():
        machine = pipeline.machine_for(core, board, None, place)
        path, _ = pipeline.model_file(model)
        if place:
            compiled, built = pipeline.program(path, machine, wanted, "auto", name)
            files = {**compiled.sources, **pipeline.place_script(compiled, machine, built)}
        else:
            compiled = pipeline.generate(path, machine.core, wanted, name)
            files = dict(compiled.sources)
        found = None
        if renode is not None:
            from simharness.renode_project import project

            found = project(compiled, machine)
    paths = write_directory(Path(directory), files)
    if renode is None or found is None:
        return paths
    return (*paths, *write_directory(Path(renode), found.files))


def profile(
    elf: str | Path,
    call: str = "main",
    arguments: Sequence[int] = (),
    *,
    core: str | None = None,
    board: str | Path | None = None,
    clock_hz: int | None = None,
    budget: int = BUDGET,
    timing: TimingMode = "auto",
    sanitize: str | Path | None = None,
) -> Report:
    """Call a function of any firmware on an emulated core; count and time it by function.

    `arguments` are up to four integers. Initialised data is in place as after start-up code; there
    are no peripherals. The report's layers are functions, the dearest first, each without what it
    calls. `sanitize` names a JSON file that says which memory each function may touch (see
    `simharness.sanitize.read_contract`): `report.ok` is False when one touches more, and
    `report.results.sanitizer` says what. Raises UsageError, and FaultError when the function faults
    or does not return.
    """
    from simharness import profiling

    return profiling.profile(
        Path(elf), call, arguments, core=core, board=board, clock_hz=clock_hz, budget=budget,
        timing=timing, contract=sanitize,
    )  # fmt: skip


def _patches(asked: str | None, ram_limit_bytes: int | None) -> str:
    """A limit may be met by any means, unless the user says otherwise."""
    return asked or ("off" if ram_limit_bytes is None else "auto")
