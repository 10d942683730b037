# SPDX-License-Identifier: MIT
"""The report: one typed value, one schema, many views."""

from __future__ import annotations

from simharness.report.model import SCHEMA_VERSION, Report
from simharness.report.serial import from_json, read, to_json

__all__ = ["SCHEMA_VERSION", "Report", "from_json", "read", "to_json"]
