# SPDX-License-Identifier: MIT
"""`simharness cores`, `boards`, `ops`: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from simharness.commands.talk import Commands, Talk, add_talk_options
from simharness.errors import translated

Rows = list[dict[str, object]]


def add(commands: Commands) -> None:
    """Declare the commands."""
    lists: tuple[tuple[str, str, Callable[[], Rows]], ...] = (
        ("cores", "the cores and their default boards", _cores),
        ("boards", "the boards: core, clock, memories", _boards),
        ("ops", "the ONNX operators that have a lowering", _ops),
    )
    for name, title, rows in lists:
        parser = commands.add_parser(name, help=f"list {title}", description=f"List {title}.")
        parser.add_argument("--format", choices=("table", "json"), default="table")
        add_talk_options(parser)
        parser.set_defaults(handler=handle, rows=rows)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Print the list."""
    with translated():
        rows: Rows = arguments.rows()
    if arguments.format == "json":
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(columns(rows))
    return 0


def columns(rows: Sequence[dict[str, object]]) -> str:
    """Rows as aligned text under their keys."""
    heads = list(rows[0])
    cells = [heads, *([_cell(row[h]) for h in heads] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k}={v // 1024}K" for k, v in value.items())
    return "yes" if value is True else "no" if value is False else str(value)


def _cores() -> Rows:
    from codegen.target import target
    from cycle_models.chip import default_chip
    from cycle_models.core import core_names, load_core

    rows: Rows = []
    for name in core_names():
        features = target(name)  # type: ignore[arg-type]
        rows.append({
            "core": name, "title": load_core(name).title, "fpu": features.fpu,
            "dsp": features.dsp, "default_board": default_chip(name).name,
        })  # fmt: skip
    return rows


def _boards() -> Rows:
    from cycle_models.chip import chip_names, load_chip

    rows: Rows = []
    for chip in map(load_chip, chip_names()):
        rows.append({
            "board": chip.name, "core": chip.core, "clock_hz": chip.clock_default_hz,
            "memory_bytes": {
                m.name: m.size_bytes
                for m in chip.memories
                if m.alias_of in ("", chip.placement["code"])
            },
            "place": ",".join(f"{kind}={memory}" for kind, memory in chip.placement.items()),
            "description": chip.description,
        })  # fmt: skip
    return rows


def _ops() -> Rows:
    import onnx.defs

    from codegen.load.supported import FIRST_OPSET, SUPPORTED

    newest = onnx.defs.onnx_opset_version()
    return [{"op": name, "opsets": f"{FIRST_OPSET}..{newest}"} for name in sorted(SUPPORTED)]
