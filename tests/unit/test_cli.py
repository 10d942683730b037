# SPDX-License-Identifier: MIT
"""The command line: data on stdout, talk on stderr, the verdict in the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simharness import cli
from simharness.commands import options
from simharness.errors import FaultError, GateError, SimharnessError, ToolMissingError, UsageError

ROOT = Path(__file__).resolve().parents[2]
ZOO = "zoo:lenet5-int8"
HEAVY = ("onnx", "onnxruntime", "unicorn", "numpy", "capstone", "rich", "jinja2")


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = run_python(
        "import sys\nfrom simharness.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print('LOADED', *sorted(sys.modules))"
    )

    assert not set(HEAVY) & set(loaded.rsplit("LOADED", 1)[1].split())


def test_importing_simharness_imports_nothing_heavy() -> None:
    loaded = run_python("import sys, simharness\nprint(*sys.modules)").split()

    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("command", ["run", "build", "cores", "boards", "ops", "doctor", "cache"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])

    assert stop.value.code == 0
    assert f"usage: simharness {command}" in capsys.readouterr().out


def test_run_prints_the_report_on_stdout_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--core", "m4", ZOO, "--samples", "1"]) == 0

    printed = capsys.readouterr()
    assert printed.out.startswith(f"OK: {ZOO} on STM32F446")
    assert "0 LSB" in printed.out
    assert "\x1b" not in printed.out
    assert printed.err == ""


def test_two_runs_give_the_same_bytes_and_no_local_path(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["run", "--core", "m4", ZOO, "--samples", "1", "--format", "json"]
    cli.main(command)
    first = capsys.readouterr().out
    cli.main([*command, "-o", str(tmp_path / "r.json")])

    assert (tmp_path / "r.json").read_text(encoding="utf-8") == first
    assert str(Path.cwd()) not in first and str(Path.home()) not in first
    assert json.loads(first)["results"]["check"]["max_lsb"] == 0


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cli.main(["build", ZOO, "-o", str(tmp_path / "c"), "-q"])

    assert capsys.readouterr().err == ""


def test_build_writes_and_lists_the_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["build", ZOO, "-o", str(tmp_path / "c"), "--name", "lenet"]) == 0

    listed = capsys.readouterr().out.split()
    assert sorted(listed) == sorted(str(p) for p in (tmp_path / "c").iterdir())
    assert str(tmp_path / "c" / "lenet.h") in listed


@pytest.mark.parametrize("command", ["cores", "boards", "ops", "doctor"])
def test_lists_come_as_table_and_as_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([command])
    table = capsys.readouterr().out
    cli.main([command, "--format", "json"])
    rows = json.loads(capsys.readouterr().out)

    assert rows and all(str(next(iter(row.values()))) in table for row in rows)


def test_the_cache_can_be_cleared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache" / "entries").mkdir(parents=True)
    (tmp_path / "cache" / "entries" / "e").write_bytes(b"12345")

    assert cli.main(["cache", "--size"]) == 0
    assert capsys.readouterr().out == "5\n"
    assert cli.main(["cache", "--clear"]) == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateError("x"), 1),
        (UsageError("x"), 2),
        (ToolMissingError("x"), 3),
        (FaultError("layer conv at 0x123"), 4),
    ],
)
def test_errors_become_exit_codes(
    error: SimharnessError,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("simharness.api.run", fail)

    assert cli.main(["run", ZOO]) == code
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == f"error: {error}\n"


def test_no_arguments_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([])

    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("text", "hertz"),
    [
        ("180MHz", 180_000_000),
        ("32.768 kHz", 32_768),
        ("64_000_000", 64_000_000),
        ("8m", 8_000_000),
    ],
)
def test_frequencies_are_read_as_people_write_them(text: str, hertz: int) -> None:
    assert options.frequency(text) == hertz


@pytest.mark.parametrize("text", ["", "fast", "3 GHz", "-1", "1..2"])
def test_other_frequencies_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="not a frequency"):
        options.frequency(text)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    from simharness.commands.talk import Talk

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Talk().wants_color(sys.stdout)
    assert Talk(color="always").wants_color(sys.stdout)


def test_every_compiler_gets_its_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from report_samples import report

    asked: list[object] = []

    def run(*_: object, toolchain: str, **__: object) -> object:
        asked.append(toolchain)
        return report()

    monkeypatch.setattr("simharness.api.run", run)

    assert cli.main(["run", ZOO, "--toolchain", "all", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert asked == ["gcc", "zig"]
    assert cli.main(["run", ZOO, "--toolchain", "all", "--format", "junit"]) == 2


def test_other_processes_say_the_same(tmp_path: Path) -> None:
    """Neither the hash seed nor the working directory reaches a report."""
    code = f"import simharness.cli; simharness.cli.main(['run', '{ZOO}', '--format', 'json'])"
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    seen = set()
    for seed, folder in (("1", tmp_path), ("2", ROOT)):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True,
            check=True,
        )  # fmt: skip
        seen.add(done.stdout)

    assert len(seen) == 1
