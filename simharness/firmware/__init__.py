# SPDX-License-Identifier: MIT
"""The program around a model: start-up code, a main that calls it, and the linker script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from simharness.image import Memory

GUARD_BYTES = 32
"""Size of each painted zone around stack and arenas."""

GUARDS_PER_MEMORY = 4
"""At most: below and above the stack, below and above an arena."""

GUARD_PREFIX = "sim_guard_"
"""Of the symbols of all painted zones."""

ARENA = "arena"
"""The symbol of a program's only arena, behind its name and an underscore."""

NULL_BYTES = 32
"""Left free at address 0 of a RAM: a valid object must not have the null address."""

_HERE = Path(__file__).parent
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # writes C and linker scripts from checked identifiers
)


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of the model: `count` elements of C type `ctype`."""

    ctype: str
    count: int


@dataclass(frozen=True, slots=True)
class Program:
    """What `main` calls: `int NAME_init(void)` and `int NAME_run(in..., out...)` of `header`."""

    name: str
    header: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Which memory holds what (by name).

    `boot` holds the vectors, the start-up code, and the first values of all that lies in RAM:
    the start-up code copies them. `arena` has the memory of each of the program's arenas.
    """

    boot: str
    code: str
    weights: str
    data: str
    arena: tuple[str, ...]
    stack: str

    def names(self) -> frozenset[str]:
        return frozenset((self.boot, self.code, self.weights, self.data, *self.arena, self.stack))


def sources(
    program: Program | None,
    *,
    semihosting: bool = False,
    measuring: bool = False,
    showing: bool = False,
) -> Mapping[str, str]:
    """The firmware's C by file name; without a program, a main that only gets ready.

    With `semihosting` the program serves runs by itself, from file to file, for engines that want
    it; with `showing` it runs once and writes its outputs as text; either leaves all else where it
    is. With `measuring` the program can count its own cycles.
    """
    serving = semihosting or showing
    ports = {
        "inputs": program.inputs if program else (),
        "outputs": program.outputs if program else (),
    }
    main = _TEMPLATES.get_template("main.c.j2").render(
        name=program.name if program else "",
        header=program.header if program else "",
        **ports,
    )
    server = "show.c.j2" if showing else "semihost.c.j2"
    served = _TEMPLATES.get_template(server).render(name=program.name if program else "", **ports)
    return {
        "sim_main.c": main,
        "sim_startup.c": ("#define main sim_main\n" if serving else "") + _read("startup.c"),
        "sim_memory.c": _read("memory.c"),
        "string.h": _read("string.h"),
        **({"sim_semihost.c": served} if serving else {}),
        **({"sim_measure.c": _read("measure.c")} if measuring else {}),
    }


def link_script(
    memories: Sequence[Memory],
    placement: Placement,
    stack_bytes: int,
    arenas: Sequence[str] = (ARENA,),
) -> str:
    """The linker script for `memories` with everything where `placement` says."""
    writable = {m.name for m in memories if m.writable}
    return _TEMPLATES.get_template("link.ld.j2").render(
        memories=memories,
        placement=placement,
        arenas=tuple(zip(arenas, placement.arena, strict=True)),
        code_copied=placement.code in writable,
        code_alias_of=next((m.alias_of for m in memories if m.name == placement.code), ""),
        weights_copied=placement.weights in writable,
        stack_bytes=stack_bytes,
        guard_bytes=GUARD_BYTES,
    )


def place_script(
    name: str, chip: str, memories: Sequence[Memory], placement: Placement, arenas: Sequence[str]
) -> str:
    """The part of a linker script that puts the generated C of `name` where `placement` says."""
    writable = {m.name for m in memories if m.writable}
    parts = (("code", placement.code), ("weights", placement.weights))
    return _TEMPLATES.get_template("place.ld.j2").render(
        name=name,
        chip=chip,
        memories=memories,
        placement=placement,
        copied=[part for part, memory in parts if memory in writable],
        arenas=tuple(zip(arenas, placement.arena, strict=True)),
        region=_region,
    )


def _region(name: str) -> str:
    """A memory's name as a linker script can spell it."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def template() -> str:
    """The linker script's template; what is built depends on it."""
    return _read("link.ld.j2")


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
