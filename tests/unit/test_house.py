# SPDX-License-Identifier: MIT
"""The house stands as drawn: arrows between the packages go one way only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "simharness": {"simharness", "codegen", "cycle_models", "runtime_c"},
    "codegen": {"codegen", "runtime_c"},
    "cycle_models": {"cycle_models"},
    "runtime_c": {"runtime_c"},
}


def imported_packages(source: str) -> set[str]:
    """The top-level packages that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_go_one_way(package: str) -> None:
    """No module of a package imports one of the packages above it."""
    for path in (ROOT / package).rglob("*.py"):
        ours = imported_packages(path.read_text(encoding="utf-8")) & set(MAY_IMPORT)

        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours}"


def test_the_arrow_test_sees_a_forbidden_import() -> None:
    """The checker itself catches a lazy import in the wrong direction."""
    planted = "def f():\n    from simharness.api import run\n"

    assert "simharness" in imported_packages(planted)


def test_every_module_has_a_licence_line() -> None:
    """The first line of each Python and C file is its SPDX identifier; a script may start #!."""
    for package in (*MAY_IMPORT, "tests", "benchmarks"):
        for path in [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.[ch]")]:
            head = path.read_text(encoding="utf-8").splitlines()[:2]

            assert any("SPDX-License-Identifier: MIT" in line for line in head), path
