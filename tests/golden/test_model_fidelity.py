# SPDX-License-Identifier: MIT
"""The models' error table in the repository is the one that the models give."""

from __future__ import annotations

from pathlib import Path

import cycle_models
from cycle_models.fidelity import fragment


def test_the_table_is_current() -> None:
    """To renew it: python -m cycle_models.fidelity > cycle_models/FIDELITY.md"""
    written = Path(cycle_models.__file__).with_name("FIDELITY.md").read_text(encoding="utf-8")
    assert written == fragment()
