# SPDX-License-Identifier: MIT
"""`python -m simharness.schema` writes the published schema again, from the dataclasses."""

from __future__ import annotations

from simharness.files import write_file
from simharness.report.serial import SCHEMA_PATH, schema_text

write_file(SCHEMA_PATH, schema_text())
