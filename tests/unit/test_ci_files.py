# SPDX-License-Identifier: MIT
"""What people copy from ci/ works: the steps of the gate's workflow, and the replay of changes."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import report

from simharness import zoo
from simharness.report import to_json

ROOT = Path(__file__).resolve().parents[2]


def steps(path: Path) -> dict[str, str]:
    """The scripts of a workflow by the names of their steps."""
    found: dict[str, str] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"      - name: (.*)", line):
            name = match[1]
            found[name] = ""
        elif line.startswith("      - "):
            name = ""
        elif name and line.startswith("          "):
            found[name] += line[10:] + "\n"
    return found


class Repository:
    """A project with a network on a branch, as a pull request's checkout is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.git("init", "-q", "-b", "main")
        shutil.copy(zoo.path("lenet5-int8"), self.folder / "model.onnx")
        self.commit("base")
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        (folder / "bin").mkdir()
        program = folder / "bin" / "simharness"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m simharness "$@"\n')
        program.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_BASE_REF": "main",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "MODEL": "model.onnx",
            "CORE": "m4",
        }

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        command = ["git", *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def step(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def test_the_gate_passes_what_did_not_change_and_fails_what_got_worse(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    workflow = steps(ROOT / "ci" / "gate.yml")
    assert list(workflow) == ["Install", "Compare"]

    same = repository.step(workflow["Compare"])
    assert same.returncode == 0, same.stderr
    assert "nothing changed" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert (repository.folder / "report.html").stat().st_size > 10_000

    shutil.copy(zoo.path("lenet5-f32"), repository.folder / "model.onnx")
    repository.commit("larger")
    worse = repository.step(workflow["Compare"])
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert worse.returncode == 1
    assert "WORSE: model.onnx on STM32F446" in summary and "layers that moved" in summary


def replay() -> dict[str, Callable[..., object]]:
    return runpy.run_path(str(ROOT / "ci" / "replay"))


def test_replay_tells_what_differs() -> None:
    differences = replay()["differences"]
    old = {"a.c": "1\n2\n3\n", "gone.h": "", "report": to_json(report())}
    changed = json.loads(to_json(report()))
    changed["results"]["memory"]["arena_bytes"] = 336
    changed["results"]["layers"][0]["cycles"]["mid"] = 9001
    new = {"a.c": "1\n2\n4\n5\n", "report": json.dumps(changed)}

    lines = list(differences(old, new, show_c=False))  # type: ignore[call-overload]

    assert lines == [
        "a.c: +2 -1 lines",
        "gone.h: gone",
        "memory.arena_bytes: 272 -> 336",
        "layer conv: ('nn_convs8_s8', 9000) -> ('nn_convs8_s8', 9001)",
    ]
    assert list(differences(old, old, show_c=True)) == []  # type: ignore[call-overload]


def test_replay_survives_a_base_that_fails() -> None:
    figures = replay()["figures"]

    assert figures("error: first\nerror: no such command\n") == {
        "failed": ["error: no such command"]
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the git history of a checkout")
def test_replay_of_the_same_commit_changes_nothing(tmp_path: Path) -> None:
    """Also leaves no worktree behind."""
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", "--no-local", "--depth=1", f"file://{ROOT}", clone], check=True
    )

    done = subprocess.run(
        [sys.executable, "ci/replay", "HEAD", "zoo:lenet5-int8", "--check"],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout == "zoo:lenet5-int8: the same\n", done.stderr
    assert done.returncode == 0
    trees = subprocess.run(
        ["git", "worktree", "list"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert len(trees.stdout.splitlines()) == 1
