# SPDX-License-Identifier: MIT
"""Chips: core, memories, clocks, default placement: read from `chips/*.toml` or a user's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast, get_args

from cycle_models.core import core_names
from cycle_models.errors import MachineError
from cycle_models.machine_file import Table, integer_of, read_machine_file, text_of

Kind = Literal["flash", "sram", "tcm", "external"]
Role = Literal["code", "weights", "data", "arena", "stack"]
ROLES: tuple[Role, ...] = get_args(Role)

_FOLDER = Path(__file__).parent / "chips"


@dataclass(frozen=True, slots=True)
class Memory:
    """One address range of a chip. `alias_of` names the memory that it shows again, else "";
    `executable`: the core can fetch instructions from it."""

    name: str
    kind: Kind
    origin: int
    size_bytes: int
    writable: bool
    alias_of: str
    executable: bool
    source: str
    status: str

    @property
    def end(self) -> int:
        return self.origin + self.size_bytes


@dataclass(frozen=True, slots=True)
class Chip:
    """A microcontroller as its data sheet describes it.

    `memories` are disjoint in address; aliases are marked. `placement` maps each role to a memory
    name. `table` is the checked TOML, from which the memory and energy models read their own
    sections.
    """

    name: str
    core: str
    description: str
    memories: tuple[Memory, ...]
    clock_default_hz: int
    clock_max_hz: int
    placement: Mapping[str, str]
    path: Path
    table: Table

    def memory(self, name: str) -> Memory:
        """The memory called `name`. Raises MachineError listing the memories there are."""
        for m in self.memories:
            if m.name == name:
                return m
        known = ", ".join(m.name for m in self.memories)
        raise MachineError(f"{self.name} has no memory {name!r}; it has {known}")

    def memory_at(self, address: int) -> Memory | None:
        """The memory that holds `address`, or None."""
        for m in self.memories:
            if m.origin <= address < m.end:
                return m
        return None


_DEFAULTS = {
    "m0plus": "RP2040",
    "m3": "STM32F207",
    "m4": "STM32F446",
    "m7": "STM32F746",
    "m33": "STM32U575",
}


def chip_names() -> tuple[str, ...]:
    """The chips that ship with the package, sorted."""
    return tuple(sorted(p.stem for p in _FOLDER.glob("*.toml")))


def default_chip(core: str) -> Chip:
    """The chip that `--core NAME` stands for. Raises MachineError on an unknown core."""
    if core not in _DEFAULTS:
        raise MachineError(f"unknown core {core!r}; known cores: {', '.join(core_names())}")
    return load_chip(_DEFAULTS[core])


def load_chip(name_or_path: str | Path) -> Chip:
    """A chip by name (any case) or by the path of a TOML file.

    Raises MachineError: unknown name (lists the known ones), or a file that is wrong (names file
    and key).
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        return _load(Path(name_or_path))
    for known in chip_names():
        if known.lower() == text.lower():
            return _load(_FOLDER / f"{known}.toml")
    raise MachineError(
        f"unknown chip {text!r}; known chips: {', '.join(chip_names())}; "
        "or give the path of a .toml file"
    )


@cache
def _load(path: Path) -> Chip:
    table = read_machine_file(path)
    name = text_of(path, table, "name", "the file")
    core = text_of(path, table, "core", "the file")
    if core not in core_names():
        raise MachineError(f"{path}: unknown core {core!r}; known cores: {', '.join(core_names())}")
    memories = tuple(_memory(path, name, t) for name, t in _tables(path, table, "memory").items())
    _check_memories(path, memories)
    clock = _tables(path, table, "clock")
    hz = {k: integer_of(path, clock.get(k, {}), "hz", f"clock.{k}") for k in ("default", "max")}
    return Chip(
        name=name,
        core=core,
        description=text_of(path, table, "description", "the file"),
        memories=memories,
        clock_default_hz=hz["default"],
        clock_max_hz=hz["max"],
        placement=_placement(path, table, memories),
        path=path,
        table=table,
    )


def _tables(path: Path, table: Table, key: str) -> dict[str, Table]:
    value = table.get(key)
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise MachineError(f"{path}: needs tables [{key}.NAME]")
    return value


def _memory(path: Path, name: str, table: Table) -> Memory:
    where = f"memory.{name}"
    kind = text_of(path, table, "kind", where)
    if kind not in get_args(Kind):
        raise MachineError(f"{path}: {where}.kind is {kind!r}; it must be one of {get_args(Kind)}")
    size = integer_of(path, table, "size_bytes", where)
    if size == 0:
        raise MachineError(f"{path}: {where}.size_bytes is 0")
    return Memory(
        name=name,
        kind=cast(Kind, kind),
        origin=integer_of(path, table, "origin", where),
        size_bytes=size,
        writable=bool(table.get("writable", kind != "flash")),
        alias_of=str(table.get("alias_of", "")),
        executable=bool(table.get("executable", True)),
        source=table["source"],
        status=table["status"],
    )


def _check_memories(path: Path, memories: tuple[Memory, ...]) -> None:
    if not memories:
        raise MachineError(f"{path}: a chip needs at least one [memory.NAME]")
    names = {m.name for m in memories}
    for m in memories:
        if m.alias_of and m.alias_of not in names:
            raise MachineError(f"{path}: memory.{m.name}.alias_of names no memory: {m.alias_of!r}")
    ordered = sorted(memories, key=lambda m: m.origin)
    for a, b in pairwise(ordered):
        if a.end > b.origin:
            raise MachineError(
                f"{path}: memories {a.name} and {b.name} overlap at {b.origin:#010x}"
            )


def _placement(path: Path, table: Table, memories: tuple[Memory, ...]) -> Mapping[str, str]:
    given = table.get("placement")
    if not isinstance(given, dict) or set(given) != set(ROLES):
        raise MachineError(f"{path}: [placement] must give a memory for each of {', '.join(ROLES)}")
    by_name = {m.name: m for m in memories}
    for role, name in given.items():
        if name not in by_name:
            raise MachineError(f"{path}: placement.{role} names no memory: {name!r}")
        if role in ("data", "arena", "stack") and not by_name[name].writable:
            raise MachineError(f"{path}: placement.{role} = {name!r} cannot be written")
    return {role: given[role] for role in ROLES}
