# SPDX-License-Identifier: MIT
"""`--target pyocd` starts a server and leaves no process behind, whatever happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import test_gdb

from simharness import cli
from simharness.engines import probe
from simharness.engines.gdb import Gdb
from simharness.errors import FaultError, ToolMissingError


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake is first on PATH; its processes are noted in the file."""
    here, folder = Path(__file__).parent, tmp_path / "bin"
    folder.mkdir()
    script = folder / "pyocd"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{here / "fake_pyocd.py"}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PYOCD_PIDS", str(tmp_path / "pids"))
    return tmp_path / "pids"


def nobody_left(pids: Path) -> bool:
    started = [int(line) for line in pids.read_text().split()]
    return bool(started) and not any(Path(f"/proc/{pid}").exists() for pid in started)


@test_gdb.needs_qemu
@pytest.mark.parametrize(("target", "how"), [("pyocd", "any"), ("pyocd:ABC", "named")])
def test_it_runs(target: str, how: str, pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PYOCD", how)
    command = ["run", "--target", target, "--board", test_gdb.BOARD, test_gdb.LENET]

    assert cli.main(command) == 0
    assert nobody_left(pids)


def test_no_probe(
    pids: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_PYOCD", "no probe")

    assert cli.main(["run", "--target", "pyocd", "--core", "m4", test_gdb.LENET]) == 3
    assert "No probe selected" in capsys.readouterr().err
    assert nobody_left(pids)


def test_a_server_that_does_not_get_ready(pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PYOCD", "silent")
    monkeypatch.setattr(probe, "START_SECONDS", 5.0)

    with pytest.raises(ToolMissingError, match="did not listen within 5 s"), probe.server("pyocd"):
        pass
    assert nobody_left(pids)


@test_gdb.needs_qemu
def test_a_server_that_dies(pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PYOCD", "dies")
    endless = test_gdb.image("m4", "for (;;) sink = 2;")

    with pytest.raises(FaultError, match=r"closed the connection|connection broke"):
        test_gdb.run("pyocd", endless, seconds=60.0)
    assert nobody_left(pids)


def test_without_pyocd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PYOCD", "no-such-pyocd")

    absent = Gdb("no-such-pyocd").missing()
    assert absent is not None
    assert "simharness[board]" in absent.remedy
    assert cli.main(["run", "--target", "no-such-pyocd", test_gdb.LENET]) == 3


@pytest.mark.needs("pyocd")
def test_the_real_one_without_its_probe(capsys: pytest.CaptureFixture[str]) -> None:
    """pyOCD itself, asked for a probe that is not connected: exit 3, its words and ours."""
    target = "pyocd:simharness-no-such-probe"

    assert cli.main(["run", "--target", target, "--core", "m4", test_gdb.LENET]) == 3
    assert "pyocd list" in capsys.readouterr().err
