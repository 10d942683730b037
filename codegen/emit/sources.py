# SPDX-License-Identifier: MIT
"""Render a `Program` as stand-alone C99 files, kernels included."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from codegen.emit.literals import array_rows, decimal_float
from codegen.emit.names import comment
from codegen.emit.program import Arena, Argument, Layer, Port, Program, Sources, Table
from runtime_c import read_header, with_includes

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)


def render(program: Program) -> Sources:
    """The files of the program by name: model, weights, and the kernel headers they need."""
    name = program.name
    inputs = [_port(p, "input", i, len(program.inputs)) for i, p in enumerate(program.inputs)]
    outputs = [_port(p, "output", i, len(program.outputs)) for i, p in enumerate(program.outputs)]
    ports = [*inputs, *outputs]
    pointers = {
        f"{kind}{i}": str(port["parameter"])
        for kind, group in (("input", inputs), ("output", outputs))
        for i, port in enumerate(group)
    }
    facts = {
        "name": name,
        "arena_bytes": program.arena_bytes,
        "arenas": [_arena(arena) for arena in program.arenas or (Arena("arena", 0),)],
        "arena_align": program.arena_align,
        "weights_bytes": sum(t.size_bytes for t in program.tables),
        "headers": program.headers,
        "defines": program.defines,
        "ports": ports,
        "parameters": ", ".join(
            [f"const {p['ctype']} *{p['parameter']}" for p in inputs]
            + [f"{p['ctype']} *{p['parameter']}" for p in outputs]
        ),
        "call": ", ".join(str(p["parameter"]) for p in ports),
        "null_check": " || ".join(f"{p['parameter']} == NULL" for p in ports),
        "align_check": " || ".join(f"(uintptr_t){p['parameter']} % 4u != 0u" for p in ports),
        "layers": [_layer(i, layer, pointers) for i, layer in enumerate(program.layers)],
        "tables": [_table(table) for table in program.tables],
    }
    files = {
        f"{name}.c": "model.c.j2",
        f"{name}.h": "model.h.j2",
        f"{name}_weights.c": "weights.c.j2",
        f"{name}_weights.h": "weights.h.j2",
    }
    sources = {file: _TEMPLATES.get_template(t).render(facts) for file, t in files.items()}
    return sources | {header: read_header(header) for header in with_includes(program.headers)}


def _port(port: Port, kind: str, index: int, count: int) -> Mapping[str, object]:
    shape = "x".join(map(str, port.shape)) or "scalar"
    return {
        "macro": f"{kind.upper()}{index}",
        "parameter": kind if count == 1 else f"{kind}{index}",
        "title": f'{kind} {index}: {port.ctype} {shape}, "{comment(port.tensor)}"',
        "ctype": port.ctype,
        "count": port.count,
        "rank": len(port.shape),
        "shape": ", ".join(map(str, port.shape)),
        "scale": decimal_float(port.scale) if port.scale is not None else "",
        "zero_point": port.zero_point,
    }


def _layer(index: int, layer: Layer, pointers: Mapping[str, str]) -> Mapping[str, object]:
    unused = [
        f"(void){a.name};" for a in layer.arguments if not re.search(rf"\b{a.name}\b", layer.body)
    ]
    parameters = ", ".join(
        [f"const {a.ctype} *{a.name}" for a in layer.inputs]
        + [f"{a.ctype} *{a.name}" for a in layer.outputs]
        + (["uint8_t *scratch"] if layer.scratch else [])
    )
    arguments = ", ".join(_pointer(a, pointers) for a in layer.arguments)
    return {
        "title": f"Layer {index}: {layer.op} by {layer.kernel}",
        "notes": layer.notes,
        "symbol": layer.symbol,
        "parameters": parameters,
        "body": [
            folded
            for line in (*layer.body.splitlines(), *unused)
            for folded in fold(f"    {line}" if line else "")
        ],
        "call": fold(f"    {layer.symbol}({arguments});"),
    }


def fold(line: str, width: int = 100) -> list[str]:
    """A long line of C, broken after commas; strings, comments and directives stay whole."""
    if len(line) <= width or '"' in line or line.lstrip().startswith(("#", "//", "/*")):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 8)
    lines = [""]
    for piece in re.split(r"(?<=,) ", line):
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > width:
            lines.append(indent + piece)
        else:
            lines[-1] = f"{lines[-1]} {piece}" if lines[-1] else piece
    return lines


def _pointer(argument: Argument, pointers: Mapping[str, str]) -> str:
    """The C expression of an argument, cast where the arena's bytes become something else."""
    wide = argument.ctype not in ("int8_t", "uint8_t")
    if argument.memory not in pointers:
        place = f"{argument.memory} + {argument.offset}"
        if argument.ctype == "uint8_t":
            return place
        return f"({argument.ctype} *){'(void *)' if wide else ''}({place})"
    pointer = pointers[argument.memory]
    if argument.offset == 0:
        return pointer
    item_bytes = (8 if argument.ctype == "int64_t" else 4) if wide else 1
    return f"{pointer} + {argument.offset // item_bytes}"


def _arena(arena: Arena) -> Mapping[str, object]:
    """`tail` tells its macros and functions from those of other arenas: "" for the only one."""
    tail = arena.memory.removeprefix("arena")
    return {
        "memory": arena.memory,
        "tail": tail,
        "macro": f"ARENA{tail.upper()}",
        "size_bytes": arena.size_bytes,
    }


def _table(table: Table) -> Mapping[str, object]:
    return {
        "symbol": table.symbol,
        "ctype": table.ctype,
        "count": int(table.data.size),
        "size_bytes": table.size_bytes,
        "align": table.align,
        "users": ", ".join(map(str, table.users)),
        "rows": array_rows(table.ctype, table.data),
    }
