# SPDX-License-Identifier: MIT
"""Baselines: small reports beside the tests, one per network, machine, compiler and options.

A figure is only comparable under one compiler, so the compiler is part of the file's name: another
one makes the baseline *new*, never passed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from simharness.errors import UsageError
from simharness.files import write_file
from simharness.report.compare import EXACT, Comparison, Tolerance, compare
from simharness.report.comparison_views import text
from simharness.report.model import Options, Report
from simharness.report.serial import read, to_json

FOLDER = "baselines"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is "same" (within tolerance), "worse" or "new"; `message` is for people."""

    status: str
    message: str


def key(report: Report, label: str = "") -> str:
    """The baseline's file name without its ending: safe characters only."""
    tools, engine, options = report.toolchain, report.engine, report.options
    parts = [
        label or Path(report.model).stem.removeprefix("zoo:"),
        report.board.name,
        f"{report.board.clock_hz // 1000}kHz",
        f"{tools.name}-{_number(tools.version)}" if tools else "no-compiler",
        engine.name if engine else "no-engine",
        *(_unusual(options) if options else ()),
    ]
    return ".".join(re.sub(r"[^A-Za-z0-9_-]+", "-", part).strip("-") for part in parts)


def check(
    report: Report,
    folder: Path,
    *,
    gates: Mapping[str, Tolerance] = EXACT,
    update: bool = False,
    label: str = "",
) -> Outcome:
    """Hold `report` against its baseline in `folder`, or write that when `update`.

    Raises UsageError for a baseline that cannot be read or has another schema version.
    """
    path = folder / f"{key(report, label)}.json"
    if update:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, to_json(slim(report)))
        return Outcome("same", f"{path.name}: written")
    if not path.exists():
        return Outcome(
            "new",
            f"new: no baseline {FOLDER}/{folder.name}/{path.name} (the compiler is part of the "
            "name); if these figures are right, run pytest --simharness-update and commit the file",
        )
    try:
        base = read(path)
    except UsageError as error:
        raise UsageError(f"{error} (pytest --simharness-update writes it again)") from error
    found = compare(base, report, gates)
    return Outcome("same" if found.ok else "worse", _words(found, path))


def slim(report: Report) -> Report:
    """The report without what a gate does not look at, so that diffs of baselines stay short."""
    results = report.results
    layers = tuple(replace(layer, parts=None, mix=None, origin=()) for layer in results.layers)
    plan = replace(results.plan, records=()) if results.plan else results.plan
    return replace(report, results=replace(results, layers=layers, plan=plan))


def _words(found: Comparison, path: Path) -> str:
    return f"against {FOLDER}/{path.parent.name}/{path.name}\n{text(found)}"


def _number(version: str) -> str:
    """The first dotted number in a compiler's version line: `12.2.1`."""
    match = re.findall(r"\d+(?:\.\d+)+", version)
    return match[-1] if match else version


def _unusual(options: Options) -> list[str]:
    """The options that change the program and are not the defaults."""
    return [
        word
        for word, usual in (
            (options.optimize, "balanced"), (options.requant, "exact"), (options.planner, "auto"),
        )
        if word != usual
    ] + [
        *(["reference"] if options.reference_kernels else []),
        *([f"patches-{options.patches}"] if options.patches != "off" else []),
        *([f"ram-{options.ram_limit_bytes}"] if options.ram_limit_bytes is not None else []),
        *([f"place-{options.place}"] if options.place else []),
    ]  # fmt: skip
