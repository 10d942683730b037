# SPDX-License-Identifier: MIT
"""What the README tells people to type does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simharness import cli, zoo

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)


def test_the_gate_is_built_and_fails_as_described(tmp_path: Path) -> None:
    """Every step of the recipe but the first, which makes an environment; it is this one here."""
    steps = blocks("A gate in your test suite", "sh")[0]
    install, _, rest = steps.partition("\n")
    assert "pip install" in install
    rest = rest.replace("PATH/TO/THIS/CHECKOUT", str(ROOT))
    rest, runs = re.subn(
        r"^\.venv/bin/pytest", f"'{sys.executable}' -m pytest", rest, flags=re.MULTILINE
    )
    lines = [f"{x}; echo code $?" if " -m pytest" in x else x for x in rest.splitlines()]
    lines = [re.sub(r"( +#[^;]*)?; echo", "; echo", line) for line in lines]

    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert runs == 4
    assert re.findall(r"^code (\d)", done.stdout, re.MULTILINE) == ["1", "0", "0", "1"], done.stdout
    assert "new: no baseline" in done.stdout
    assert "arena got worse by" in done.stdout and "most in layer conv1" in done.stdout


def test_the_library_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(zoo.path("lenet5-int8").read_bytes())
    monkeypatch.chdir(tmp_path)
    examples = blocks("From Python", "python")

    for example in examples:
        exec(example, {})
    assert len(examples) == 2


@pytest.mark.parametrize(
    "line", [x for x in TEXT.splitlines() if re.match(r"(\.venv/bin/)?simharness [a-z]", x)]
)
def test_every_command_line_is_understood(line: str) -> None:
    """Its options exist; what it does is the business of other tests."""
    words = line.partition("#")[0].split()[1:]

    cli.parser().parse_args(words)
