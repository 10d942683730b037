# SPDX-License-Identifier: MIT
"""The marker in a project of somebody else's: emulators that agree pass, others fail or skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.mark.simharness_crosscheck("unicorn", "qemu")
def test_net(sim):
    sim("zoo:lenet5-int8", core="m4", optimize="size", gate=False)
"""
PLANTS = {
    "count": "import simharness.crosscheck as c; c.OFFSETS = {'qemu': 1}",
    "absent": "import simharness.engines.qemu as q; q.PROGRAM = 'no-such-qemu'",
}


def run(folder: Path, plant: str, *arguments: str) -> str:
    (folder / "test_net.py").write_text(SUITE)
    (folder / "conftest.py").write_text(PLANTS.get(plant, ""))
    command = (sys.executable, "-m", "pytest", "-q", "-rs", "--strict-markers", *arguments)
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    return done.stdout


@pytest.mark.needs("qemu", "arm-none-eabi-gcc")
def test_agreement_and_disagreement(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, "")
    out = run(tmp_path, "count")
    assert "1 failed" in out
    assert "zoo:lenet5-int8 on m4: unicorn and qemu: " in out


def test_an_absent_engine_skips_unless_required(tmp_path: Path) -> None:
    out = run(tmp_path, "absent")
    assert "1 skipped" in out
    assert "apt-get install qemu-system-arm" in out
    assert "1 failed" in run(tmp_path, "absent", "--simharness-require=qemu")
