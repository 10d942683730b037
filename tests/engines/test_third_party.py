# SPDX-License-Identifier: MIT
"""An engine of another distribution: found by its entry point, run and compared like ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from dataclasses import replace
from simharness.engines.base import EngineInfo
from simharness.engines.unicorn import UnicornEngine

class Theirs:
    name = "theirs"
    def missing(self):
        return None
    def describe(self):
        return EngineInfo(self.name, "0.1", "counted")
    def run(self, image, inputs, *, budget):
        trace = UnicornEngine().run(image, inputs, budget=budget)
        return replace(trace, engine=self.describe())
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with one distribution."""
    info = tmp_path / "their_engine-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-engine\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[simharness.engines]\ntheirs = their_engine:Theirs\n")
    (tmp_path / "their_engine.py").write_text(MODULE)
    return tmp_path


def simharness(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(site), str(Path(__file__).parents[2])))
    return subprocess.run(
        (sys.executable, "-m", "simharness", *words),
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_it_runs_and_is_compared(site: Path) -> None:
    done = simharness(site, "run", "--engine", "theirs", "zoo:lenet5-int8", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["engine"] == {"name": "theirs", "version": "0.1", "fidelity": "counted"}
    assert report["results"]["cycles"]["mid"] > 0

    names = ("--engine", "unicorn", "--engine", "theirs")
    done = simharness(site, "crosscheck", *names, "zoo:lenet5-int8")
    assert done.returncode == 0, done.stderr
    assert "all agree" in done.stdout
    assert simharness(site, "doctor", "run", "--engine", "theirs").returncode == 0


def test_without_it(tmp_path: Path) -> None:
    done = simharness(tmp_path, "run", "--engine", "theirs", "zoo:lenet5-int8")
    assert done.returncode == 2
    assert "known are unicorn, qemu, renode, gdb" in done.stderr
