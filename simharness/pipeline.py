# SPDX-License-Identifier: MIT
"""The stages between a user's words and an image: which machine, which code, which file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast, get_args

from codegen import Compiled, compile_model
from codegen.build import in_banks
from codegen.errors import PlanError
from codegen.fit import Patches
from codegen.planner import Bank, Strategy
from codegen.target import CoreName, Optimize, RequantMode, Target, target
from cycle_models.chip import Chip, default_chip, load_chip
from cycle_models.core import load_core
from simharness import firmware, zoo
from simharness import toolchain as toolchains
from simharness.errors import UsageError
from simharness.files import sha256, shown_path
from simharness.image import Memory
from simharness.report.model import InputFile
from simharness.toolchain import Built, Port, Program
from simharness.toolchain.placement import NOTHING_ASKED, Asked, parse

DEFAULT_CORE = "m4"

_Choice = TypeVar("_Choice", bound=str)


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A core on a board at a clock, and which of its memories is to hold what."""

    core: CoreName
    chip: Chip
    clock_hz: int
    place: Asked = NOTHING_ASKED


def machine_for(
    core: str | None, board: str | Path | None, clock_hz: int | None, place: str = ""
) -> Machine:
    """The machine that these words mean: a core alone stands for its default board.

    `place` is as in "code=itcm,arena=dtcm" (simharness.toolchain.placement).
    Raises UsageError on a board of another core, a clock that the board cannot reach, memories
    that it does not have;
    MachineError on unknown names (listing the known ones) and bad files.
    """
    if core is not None:
        core = core.lower().removeprefix("cortex-").replace("m0+", "m0plus")
        load_core(core)
    chip = load_chip(board) if board is not None else default_chip(core or DEFAULT_CORE)
    if core is not None and chip.core != core:
        raise UsageError(
            f"board {chip.name} has a Cortex-{chip.core.upper()}, not {core}: "
            f"leave --core out, or choose another board (simharness boards)"
        )
    clock = chip.clock_default_hz if clock_hz is None else clock_hz
    if not 0 < clock <= chip.clock_max_hz:
        raise UsageError(
            f"{chip.name} runs at up to {chip.clock_max_hz} Hz; {clock} Hz is out of reach"
        )
    return Machine(cast(CoreName, chip.core), chip, clock, parse(place, chip))


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user wants of the generated code."""

    optimize: Optimize = "balanced"
    requant: RequantMode = "exact"
    planner: Strategy = "auto"
    reference_kernels: bool = False
    patches: Patches = "off"
    ram_limit_bytes: int | None = None

    def target(self, core: CoreName) -> Target:
        return target(
            core,
            optimize=self.optimize,
            requant=self.requant,
            reference_kernels=self.reference_kernels,
        )


def wishes(
    optimize: str,
    requant: str,
    planner: str,
    reference_kernels: bool,
    patches: str = "off",
    ram_limit_bytes: int | None = None,
) -> Wishes:
    """The wishes in these words. Raises UsageError, listing the known ones."""
    return Wishes(
        cast(Optimize, _one_of("optimize", optimize, get_args(Optimize))),
        cast(RequantMode, _one_of("requant", requant, get_args(RequantMode))),
        cast(Strategy, _one_of("planner", planner, get_args(Strategy))),
        reference_kernels,
        _grid(patches),
        ram_limit_bytes,
    )


def _grid(patches: str) -> Patches:
    """ "auto", "off", or the rows and columns of tiles in "4x1"."""
    rows, x, cols = patches.partition("x")
    if x and rows.isdecimal() and cols.isdecimal() and int(rows) and int(cols):
        return int(rows), int(cols)
    return "auto" if _one_of("patches", patches, ("auto", "off", "RxC")) == "auto" else "off"


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"unknown value {value!r} for {option}; known are {', '.join(known)}")
    return value


def generate(path: Path, core: CoreName, wanted: Wishes, name: str | None = None) -> Compiled:
    """The C of a model for a core. Raises CodegenError."""
    return compile_model(
        path,
        wanted.target(core),
        strategy=wanted.planner,
        name=name,
        patches=wanted.patches,
        ram_limit_bytes=wanted.ram_limit_bytes,
    )


def program(
    path: Path, machine: Machine, wanted: Wishes, toolchain: str, name: str | None = None
) -> tuple[Compiled, Built]:
    """The C of a model, and the program: its arena in several memories where that was asked for,
    or where no single one holds it.

    Raises CodegenError when it does not even fit the memories that were asked for; BuildError,
    UsageError, ToolMissingError.
    """
    compiled = generate(path, machine.core, wanted, name)
    asked = machine.place.arena
    if len(asked) < 2:
        built = link(compiled, machine, toolchain)
        if built.fit.ok or asked:
            return compiled, built
    sizes = link(compiled, machine, toolchain, memories=toolchains.ROOMY).image
    room = toolchains.room(sizes, machine.chip, machine.place)
    try:
        spread = in_banks(compiled, [Bank(*item) for item in room.items()], wanted.planner)
    except PlanError:
        if asked:
            raise
        return compiled, built
    linked = link(spread, machine, toolchain)
    return (spread, linked) if asked or linked.fit.ok else (compiled, built)


def place_script(compiled: Compiled, machine: Machine, built: Built) -> dict[str, str]:
    """The file NAME_place.ld, by name: where a linker script of the user's puts this C."""
    used = built.placement.names()
    memories = [m for m in built.image.memories if m.name in used]
    text = firmware.place_script(
        compiled.name, machine.chip.name, memories, built.placement, _arenas(compiled)
    )
    return {f"{compiled.name}_place.ld": text}


def link(
    compiled: Compiled,
    machine: Machine,
    toolchain: str,
    *,
    memories: tuple[Memory, ...] = (),
    semihosting: bool = False,
    measuring: bool = False,
    showing: bool = False,
) -> Built:
    """The program for the machine, firmware included; `memories` replace those of the chip."""
    program, arenas = compiled.program, _arenas(compiled)
    banks = tuple(bank.name for bank in compiled.plan.banks)
    place = replace(machine.place, arena=banks or machine.place.arena[: len(arenas)])
    return toolchains.build(
        compiled.sources,
        machine.core,
        memories or machine.chip,
        program=Program(
            program.name,
            f"{program.name}.h",
            tuple(Port(p.ctype, p.count) for p in program.inputs),
            tuple(Port(p.ctype, p.count) for p in program.outputs),
        ),
        place=NOTHING_ASKED if memories else place,
        arenas=arenas,
        toolchain=toolchain,
        optimize=compiled.target.optimize,
        layers=tuple(layer.symbol for layer in program.layers),
        semihosting=semihosting,
        measuring=measuring,
        showing=showing,
    )


def _arenas(compiled: Compiled) -> tuple[str, ...]:
    return tuple(arena.memory for arena in compiled.program.arenas) or (firmware.ARENA,)


def model_file(given: str | Path) -> tuple[Path, InputFile]:
    """The file that a user means by a path or `zoo:NAME`, and its line in the report.

    Raises UsageError when there is no such file.
    """
    path = zoo.resolve(given)
    shown = str(given) if str(given).startswith(zoo.PREFIX) else shown_path(path)
    return path, InputFile("model", shown, sha256(path))


def machine_files(machine: Machine) -> tuple[InputFile, InputFile]:
    """The machine files as lines of the report."""
    core, chip = load_core(machine.core).path, machine.chip.path
    shipped = chip.parent == core.parent.parent / "chips"
    return (
        InputFile("core", f"cores/{core.name}", sha256(core)),
        InputFile("board", f"chips/{chip.name}" if shipped else shown_path(chip), sha256(chip)),
    )
