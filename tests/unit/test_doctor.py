# SPDX-License-Identifier: MIT
"""`simharness doctor COMMAND ...` answers for the command that is given."""

from __future__ import annotations

import pytest

from simharness import cli


@pytest.fixture
def no_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simharness.engines.qemu.PROGRAM", "no-such-qemu")
    monkeypatch.setenv("SIMHARNESS_RENODE", "/no/such/renode")


@pytest.mark.usefixtures("no_emulators")
@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("run --engine qemu model.onnx", "apt-get install qemu-system-arm"),
        ("run --engine renode", "SIMHARNESS_RENODE"),
        ("crosscheck model.onnx", "apt-get install qemu-system-arm"),
        ("crosscheck --engine unicorn --engine renode", "SIMHARNESS_RENODE"),
        ("run --engine gdb", "--target HOST:PORT"),
    ],
)
def test_what_a_command_lacks(words: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 with the remedy, where a doctor without the command is content."""
    assert cli.main(["doctor"]) == 0
    capsys.readouterr()

    assert cli.main(["doctor", *words.split()]) == 3
    (line,) = (n for n in capsys.readouterr().out.splitlines() if n.startswith("MISSING"))
    assert remedy in line


def test_what_a_command_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "run", "--engine", "unicorn", "model.onnx"]) == 0
    assert "engine unicorn" in capsys.readouterr().out
    assert cli.main(["doctor", "run", "--engine", "nobody"]) == 2
    assert "known are" in capsys.readouterr().err
