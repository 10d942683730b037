# SPDX-License-Identifier: MIT
"""Cores: timing rules with their sources, read from `cores/*.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from cycle_models.errors import MachineError
from cycle_models.machine_file import Table, number_of, read_machine_file, text_of

Part = Literal["issue", "load_use", "refill", "fetch_stalls", "data_stalls", "external"]
PARTS: tuple[Part, ...] = get_args(Part)
Pipeline = Literal["single", "scoreboard"]

_FOLDER = Path(__file__).parent / "cores"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one event costs: `cycles`, believed to lie in `low`..`high`, reported under `part`."""

    name: str
    cycles: float
    low: float
    high: float
    part: Part
    source: str
    status: str


@dataclass(frozen=True, slots=True)
class Core:
    """A core's rules; `pipeline` says which interpreter reads them, `latency` is in cycles."""

    name: str
    title: str
    pipeline: Pipeline
    rules: Mapping[str, Rule]
    figures: Mapping[str, float]
    path: Path


def core_names() -> tuple[str, ...]:
    """The cores that ship with the package, from small to large."""
    order = {"m0plus": 0, "m3": 1, "m4": 2, "m33": 3, "m7": 4}
    return tuple(sorted((p.stem for p in _FOLDER.glob("*.toml")), key=lambda n: order.get(n, 9)))


def load_core(name: str) -> Core:
    """The core called `name` (`m4`). Raises MachineError listing the known ones."""
    if name not in core_names():
        raise MachineError(f"unknown core {name!r}; known cores: {', '.join(core_names())}")
    return read_core(_FOLDER / f"{name}.toml")


@cache
def read_core(path: Path) -> Core:
    """The core described by the file at `path`. Raises MachineError naming file and key."""
    table = read_machine_file(path)
    pipeline = text_of(path, table, "pipeline", "the file")
    if pipeline not in get_args(Pipeline):
        raise MachineError(
            f"{path}: pipeline is {pipeline!r}; it must be one of {get_args(Pipeline)}"
        )
    rules = {key: _rule(path, key, value) for key, value in _section(path, table, "rule").items()}
    figures = {
        key: number_of(path, value, "value", f"figure.{key}")
        for key, value in _section(path, table, "figure").items()
    }
    return Core(
        name=text_of(path, table, "name", "the file"),
        title=text_of(path, table, "title", "the file"),
        pipeline=cast(Pipeline, pipeline),
        rules=rules,
        figures=figures,
        path=path,
    )


def _section(path: Path, table: Table, key: str) -> Table:
    value = table.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise MachineError(f"{path}: [{key}] must hold tables")
    return value


def _rule(path: Path, name: str, table: Table) -> Rule:
    where = f"rule.{name}"
    part = text_of(path, table, "part", where)
    if part not in PARTS:
        raise MachineError(
            f"{path}: {where}.part is {part!r}; it must be one of {', '.join(PARTS)}"
        )
    cycles = number_of(path, table, "cycles", where)
    low = float(table.get("low", cycles))
    high = float(table.get("high", cycles))
    if not low <= cycles <= high:
        raise MachineError(
            f"{path}: {where} needs low <= cycles <= high, has {low}, {cycles}, {high}"
        )
    return Rule(name, cycles, low, high, part, table["source"], table["status"])
