# SPDX-License-Identifier: MIT
"""The error tables in the repository are the ones that the models give.

To renew them: python -m cycle_models.fidelity --write FIDELITY.md
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle_models import fidelity

_ROOT = Path(__file__).parents[2] / "FIDELITY.md"


def test_the_tables_of_the_models_are_current() -> None:
    assert fidelity.PAGE.read_text(encoding="utf-8") == fidelity.fragment()


def test_the_table_of_the_root_is_current() -> None:
    page = _ROOT.read_text(encoding="utf-8")
    assert page == fidelity.with_summary(page)


def test_a_stale_table_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, package_page = tmp_path / "FIDELITY.md", tmp_path / "package.md"
    monkeypatch.setattr(fidelity, "PAGE", package_page)
    page.write_text(f"before\n{fidelity.BEGIN}\nstale\n{fidelity.END}\nafter\n", encoding="utf-8")
    fidelity.main(["--write", str(page)])
    written = page.read_text(encoding="utf-8")
    assert "stale" not in written and "Cortex-M33" in written
    assert written.startswith("before\n") and written.endswith("\nafter\n")
    assert package_page.read_text(encoding="utf-8") == fidelity.fragment()
    with pytest.raises(ValueError, match="marks"):
        fidelity.with_summary("no marks")
