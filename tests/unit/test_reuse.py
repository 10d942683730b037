# SPDX-License-Identifier: MIT
"""An earlier report is taken again only where nothing that it rests on has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import simharness
from simharness import cache, pristine, reuse, zoo
from simharness.options import BUDGET, RunOptions

ROOT = Path(__file__).resolve().parents[2]
ZOO = "zoo:lenet5-int8"
OPTIONS = RunOptions(
    "m4", None, None, "auto", "balanced", "exact", "auto", False, "unicorn", None, 1, 0, False,
    BUDGET, "auto",
)  # fmt: skip

WATCHED = """
from simharness import pristine
pristine.watch()
import simharness.reuse
stages = []
def run(samples=1):
    stages.clear()
    report = simharness.run("zoo:lenet5-int8", core="m4", samples=samples, reuse=True,
                            progress=stages.append)
    return report, "ran" if stages else "reused"
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of our own; and whatever other tests have replaced in this process is forgiven."""
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(pristine, "state", lambda: "pristine")


def script(text: str, *, tree: Path = ROOT) -> list[str]:
    """The words that a process of its own prints, in which our modules are watched."""
    done = subprocess.run(
        (sys.executable, "-c", WATCHED + text),
        cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def reports() -> list[Path]:
    return list((cache.folder() / "entries" / "reports").glob("*"))


def test_the_second_run_does_no_work() -> None:
    """Neither in the same process nor in another one."""
    assert script("print(run()[1], run()[1], run(samples=2)[1])") == ["ran", "reused", "ran"]
    assert script("print(run()[1])") == ["reused"]


def test_a_command_reuses_what_another_one_left() -> None:
    """With -v each stage is told; a report that was found has none."""
    command = (sys.executable, "-m", "simharness", "run", ZOO, "--samples=1", "--reuse", "-v")
    said = [
        subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        ).stderr
        for _ in range(2)
    ]  # fmt: skip

    assert "emulating" in said[0] and "emulating" not in said[1]


def test_reports_are_equal_however_they_came() -> None:
    runs = [simharness.run(ZOO, core="m4", samples=1, reuse=again) for again in (True, True, False)]

    assert runs[0] == runs[1] == runs[2] and len(reports()) == 1


REPLACED = {
    "an attribute of a module": "from simharness import session as s; s.run = s.run",
    "one that was put back": "from simharness import session as s; f = s.run; s.run = 0; s.run = f",
    "a method": "from cycle_models.core import Core as k; k.__eq__ = lambda a, b: True",
    "an inherited method": "from cycle_models.core import Core as k; k.__str__ = lambda a: ''",
    "code": "from simharness import files as f; f.sha256.__code__ = f.shown_path.__code__",
    "a default": "from simharness import files as f; f.sha256.__defaults__ = (1,)",
    "a constant table": "import simharness.toolchain.compilers as c; c._OPTIMIZE['size'] = '-O1'",
}


@pytest.mark.parametrize("what", REPLACED)
def test_code_replaced_in_memory_has_no_key(what: str) -> None:
    """A result that a test has forged is neither taken for an earlier one nor kept for later."""
    before = "import simharness.session\nassert pristine.state() == 'pristine'\n"
    after = "\nprint(pristine.state(), repr(simharness.reuse.key('model.onnx', None)))"

    assert script(before + REPLACED[what] + after) == ["changed", "''"]


def test_what_was_imported_before_the_watch_began_is_not_trusted() -> None:
    early = "import codegen.build\nfrom simharness import pristine\npristine.watch()\n"
    done = subprocess.run(
        (sys.executable, "-c", f"{early}print(pristine.state())"),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "changed\n"


def test_a_kernel_edited_on_disk_is_run(tmp_path: Path) -> None:
    """Before the process starts, and while it runs."""
    for package in pristine.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / "tree" / package, ignore=ignored)
    kernel = next((tmp_path / "tree" / "runtime_c").rglob("nn_maxpool_s8.h"))
    touch = f"from pathlib import Path; p = Path({str(kernel)!r})\n"
    edit = "p.write_text(p.read_text() + '\\n')\n"
    tree = tmp_path / "tree"

    assert script("print(run()[1])", tree=tree) == ["ran"]
    assert script("print(run()[1])", tree=tree) == ["reused"]
    again = f"print(run()[1])\n{touch}{edit}print(run()[1], run()[1])"
    assert script(again, tree=tree) == ["reused", "ran", "ran"]
    assert script("print(run()[1])", tree=tree) == ["ran"]


def test_a_damaged_entry_is_not_believed() -> None:
    first = simharness.run(ZOO, core="m4", samples=1, reuse=True)
    entries = reports()
    for path in entries:
        path.write_bytes(path.read_bytes()[:-9])

    assert len(entries) == 1
    assert simharness.run(ZOO, core="m4", samples=1, reuse=True) == first


def test_failures_are_not_kept(tmp_path: Path) -> None:
    from cycle_models.chip import load_chip

    text = load_chip("STM32F446").path.read_text(encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(text.replace("131_072", "8192"), encoding="utf-8")

    assert not simharness.run(ZOO, board=tmp_path / "tiny.toml", reuse=True).ok
    assert not reports()


def test_other_options_are_another_run() -> None:
    variants = [
        OPTIONS,
        replace(OPTIONS, core="m7"),
        replace(OPTIONS, seed=1),
        replace(OPTIONS, samples=2),
        replace(OPTIONS, timing="zero-wait"),
    ]

    assert len({reuse.key(ZOO, o) for o in variants}) == len(variants)
    assert reuse.key(ZOO, OPTIONS) == reuse.key(ZOO, replace(OPTIONS)) != ""


def test_other_bytes_are_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, samples = tmp_path / "m.onnx", tmp_path / "s.npz"
    model.write_bytes(zoo.path("lenet5-int8").read_bytes())
    samples.write_bytes(b"1")
    options = replace(OPTIONS, inputs=samples)
    keys = [reuse.key(model, options)]
    samples.write_bytes(b"2")
    keys.append(reuse.key(model, options))
    model.write_bytes(model.read_bytes() + b"\0")
    keys.append(reuse.key(model, options))
    monkeypatch.setenv("SIMHARNESS_SETTING", "1")
    keys.append(reuse.key(model, options))
    monkeypatch.setattr(reuse, "_sources", lambda: "a kernel has changed")
    keys.append(reuse.key(model, options))

    assert len(set(keys)) == 5 and all(keys)


def test_weights_in_other_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "data_files", lambda content: ("w.bin",))
    (tmp_path / "m.onnx").write_bytes(b"network")
    keys = []
    for data in (b"1", b"2"):
        (tmp_path / "w.bin").write_bytes(data)
        keys.append(reuse.key(tmp_path / "m.onnx", OPTIONS))

    assert len(set(keys)) == 2 and all(keys)


def test_what_cannot_be_known_is_not_kept(tmp_path: Path) -> None:
    assert reuse.key(ZOO, replace(OPTIONS, engine="qemu")) == ""
    assert reuse.key(tmp_path / "none.onnx", OPTIONS) == ""
