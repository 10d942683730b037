# SPDX-License-Identifier: MIT
"""The report as JSON and back, and the schema that says what that JSON may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from simharness.errors import UsageError
from simharness.report.model import SCHEMA_VERSION, Report

SCHEMA_PATH = Path(__file__).resolve().parent.parent / "schema" / "report.schema.json"
"""The published schema; a test holds it equal to `schema_text()`."""


def to_json(report: Report) -> str:
    """The report as indented JSON text; equal reports give equal bytes."""
    return json.dumps(to_plain(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_plain(value: object) -> Any:
    """`value` as dicts, lists and scalars, without the keys that hold None."""
    return _without_none(msgspec.to_builtins(value, str_keys=True))


def from_json(text: str | bytes, where: str = "the report") -> Report:
    """The report in JSON text. Raises UsageError naming what is wrong with it, and `where`."""
    try:
        head = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UsageError(f"{where}: not a report: {error}") from error
    version = head.get("schema_version") if isinstance(head, dict) else None
    if version is None:
        raise UsageError(f"{where}: not a simharness report: it has no schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{where}: the report has schema version {version!r}, this simharness reads "
            f"{SCHEMA_VERSION}; make the report again with this version"
        )
    try:
        return msgspec.convert(head, Report)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: not a valid report: {error}") from error


def read(path: str | Path) -> Report:
    """The report in a file. Raises UsageError when it cannot be read or is none."""
    try:
        return from_json(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def schema_text() -> str:
    """The JSON schema of the report, made from the dataclasses."""
    schema = msgspec.json.schema(Report)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"simharness report, schema version {SCHEMA_VERSION}",
    }
    return json.dumps(head | schema, indent=2) + "\n"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
