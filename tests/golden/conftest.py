# SPDX-License-Identifier: MIT
"""Texts that only change on purpose.

After a considered change: SIMHARNESS_GOLDEN=write python -m pytest tests/golden, and look at the
difference before committing it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def unchanged() -> Callable[[str, str], None]:
    """`unchanged(file, text)`: the text is that of a file in this folder, byte for byte."""

    def check(file: str, text: str) -> None:
        path = HERE / file
        if os.environ.get("SIMHARNESS_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if text != kept:
            lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), file, "now", n=1)
            pytest.fail(
                "\n".join([*list(lines)[:60], "if that is meant: "
                           "SIMHARNESS_GOLDEN=write python -m pytest tests/golden"]),
                pytrace=False,
            )  # fmt: skip

    return check
