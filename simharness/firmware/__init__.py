# SPDX-License-Identifier: MIT
"""The program around a model: start-up code, a main that calls it, and the linker script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from simharness.image import Memory

GUARD_BYTES = 32
"""Size of each painted zone around stack and arena."""

GUARD_SYMBOLS = (
    "sim_guard_stack_low",
    "sim_guard_stack_high",
    "sim_guard_arena_low",
    "sim_guard_arena_high",
)

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
    """Which memory holds what, and how much stack is set aside."""

    flash: str
    ram: str
    arena_ram: str
    stack_bytes: int


def sources(program: Program | None) -> Mapping[str, str]:
    """The firmware's C by file name; without a program, a main that only gets ready."""
    main = _TEMPLATES.get_template("main.c.j2").render(
        name=program.name if program else "",
        header=program.header if program else "",
        inputs=program.inputs if program else (),
        outputs=program.outputs if program else (),
    )
    return {
        "sim_main.c": main,
        "sim_startup.c": _read("startup.c"),
        "sim_memory.c": _read("memory.c"),
        "string.h": _read("string.h"),
    }


def link_script(memories: Sequence[Memory], placement: Placement) -> str:
    """The linker script for `memories` with everything where `placement` says."""
    return _TEMPLATES.get_template("link.ld.j2").render(
        memories=memories,
        flash=placement.flash,
        ram=placement.ram,
        arena_ram=placement.arena_ram,
        stack_bytes=placement.stack_bytes,
        guard_bytes=GUARD_BYTES,
    )


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
