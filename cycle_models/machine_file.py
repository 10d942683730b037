# SPDX-License-Identifier: MIT
"""Reading machine files: TOML in which every number says where it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

from cycle_models.errors import MachineError

Status = Literal["documented", "measured", "fitted", "assumed"]
STATUSES: tuple[str, ...] = get_args(Status)

Table = dict[str, Any]
"""A parsed TOML table. It stays inside the loaders; typed values leave them."""


def read_machine_file(path: Path) -> Table:
    """Parse `path` and refuse it when a figure lacks `source` or a valid `status`.

    The rule: a table that directly holds a number (or a list of numbers) must itself hold
    `source` (text) and `status` (documented | measured | fitted | assumed). Raises MachineError
    naming file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"{path}: cannot be read ({error})") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MachineError(f"{path}: not valid TOML: {error}") from error
    _check(path, text, table, ())
    return table


def _check(path: Path, text: str, value: Any, where: tuple[str, ...]) -> None:
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check(path, text, item, (*where[:-1], f"{where[-1]}[{i}]"))
        return
    if not isinstance(value, dict):
        return
    figures = [k for k, v in value.items() if _is_figure(v)]
    if figures:
        for key in ("source", "status"):
            if not (isinstance(value.get(key), str) and value[key].strip()):
                raise MachineError(
                    f"{path}:{_line_of(text, where, figures[0])}: "
                    f"{'.'.join((*where, figures[0]))} has no {key} "
                    f'(add {key} = "..." to the same table)'
                )
        if value["status"] not in STATUSES:
            raise MachineError(
                f"{path}:{_line_of(text, where, 'status')}: {'.'.join(where)}.status is "
                f"{value['status']!r}; it must be one of {', '.join(STATUSES)}"
            )
    for key, item in value.items():
        _check(path, text, item, (*where, key))


def _is_figure(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, list):
        return any(_is_figure(v) for v in value)
    return isinstance(value, (int, float))


def _line_of(text: str, where: tuple[str, ...], key: str) -> int:
    """The line of `key` inside table `where`; the best guess when the file writes it in an
    unusual form.
    """
    names = [re.sub(r"\[\d+\]$", "", w) for w in where]
    skip = int(m.group(1)) if where and (m := re.search(r"\[(\d+)\]$", where[-1])) else 0
    lines = text.splitlines()
    best = 0
    for depth in range(len(names), 0, -1):
        header = re.compile(
            r"^\s*\[+\s*" + r"\s*\.\s*".join(map(re.escape, names[:depth])) + r"\s*\]+"
        )
        starts = [i for i, line in enumerate(lines) if header.match(line)]
        if starts:
            best = starts[min(skip, len(starts) - 1)]
            inner = names[depth] if depth < len(names) else key
            break
    else:
        inner = names[0] if names else key
    for i in range(best, len(lines)):
        if i > best and lines[i].lstrip().startswith("["):
            break
        if re.match(rf"^\s*{re.escape(inner)}\s*=", lines[i]):
            return i + 1
    return best + 1


def text_of(path: Path, table: Table, key: str, where: str) -> str:
    """A required text entry."""
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise MachineError(f"{path}: {where} needs the text entry {key!r}")
    return value


def number_of(path: Path, table: Table, key: str, where: str) -> float:
    """A required number."""
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MachineError(f"{path}: {where} needs the number {key!r}")
    return value


def integer_of(path: Path, table: Table, key: str, where: str) -> int:
    """A required integer that is not negative."""
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MachineError(f"{path}: {where} needs {key!r} as an integer of zero or more")
    return value
