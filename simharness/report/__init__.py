# SPDX-License-Identifier: MIT
"""The report: one typed value, one schema, many views. Imported piece by piece, when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simharness.report.model import SCHEMA_VERSION, Report
    from simharness.report.serial import from_json, read, to_json

__all__ = ["SCHEMA_VERSION", "Report", "from_json", "read", "to_json"]


def __getattr__(name: str) -> object:
    """Import what is asked for: `--help` needs the names of the formats and nothing else."""
    from importlib import import_module

    if name in __all__:
        module = "model" if name in ("SCHEMA_VERSION", "Report") else "serial"
        return getattr(import_module(f"simharness.report.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
