# SPDX-License-Identifier: MIT
"""Any report survives the way into JSON and back, and equal reports are equal bytes."""

from __future__ import annotations

import json

from hypothesis import given
from report_samples import reports

from simharness.report import from_json, to_json
from simharness.report.model import Report
from simharness.report.serial import schema_text


@given(reports)
def test_reports_round_trip(found: Report) -> None:
    """Nothing is lost on the way."""
    text = to_json(found)

    assert from_json(text) == found
    assert to_json(from_json(text)) == text


@given(reports)
def test_every_key_is_in_the_schema(found: Report) -> None:
    """No key is written that the schema does not know, none is missing that it requires."""
    kinds = json.loads(schema_text())["$defs"]
    _check_object(json.loads(to_json(found)), kinds["Report"], kinds)


def _check_object(
    value: object, kind: dict[str, object], kinds: dict[str, dict[str, object]]
) -> None:
    if isinstance(value, list):
        for item in value:
            _check_object(item, kind["items"], kinds)  # type: ignore[arg-type]
        return
    if "anyOf" in kind:
        kind = next(k for k in kind["anyOf"] if k.get("type") != "null")  # type: ignore[attr-defined]
    if "$ref" in kind:
        kind = kinds[str(kind["$ref"]).rsplit("/", 1)[-1]]
    if isinstance(value, dict) and "properties" in kind:
        known: dict[str, dict[str, object]] = kind["properties"]  # type: ignore[assignment]
        assert set(value) <= set(known)
        assert set(kind["required"]) <= set(value)  # type: ignore[call-overload]
        for key, item in value.items():
            _check_object(item, known[key], kinds)
    elif isinstance(value, list):
        for item in value:
            _check_object(item, kind["items"], kinds)  # type: ignore[arg-type]
