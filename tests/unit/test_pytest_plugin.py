# SPDX-License-Identifier: MIT
"""The gate in a project of somebody else's: what passes, what fails, and what the failure says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
def test_one(sim):
    report = sim("zoo:lenet5-int8", core="m4", reference_kernels=True)
    assert report.results.check.max_lsb == 0 or report.results.check.divergence

def test_two(sim, core):
    sim("zoo:lenet5-int8", core=core, optimize="size", timing="zero-wait")

def test_watched(sim):
    sim("zoo:lenet5-int8", core="m4", reference_kernels=True, sanitize=True, gate=False,
        timing="zero-wait", samples=1)

def test_three(machine):
    assert machine("m0plus", {"k.c": "int twice(int x) { return 2 * x; }"}).call("twice", 21) == 42
"""

PLANTS = """
import os
import codegen.emit.sources as emission
from codegen.kernels import VARIANTS

plant = os.environ.get("PLANT")
read = emission.read_header
POOL = "*y++ = best;"

def planted(name):
    text = read(name)
    if name == "nn_maxpool_s8.h":
        assert POOL in text
        if plant == "slow":
            text = text.replace(POOL, "for (volatile int32_t i = 0; i < 1; i++) { } " + POOL)
        if plant == "stray":
            text = text.replace(POOL, "(void)*(volatile int8_t *)y; " + POOL)
        if plant == "wrong":
            text = text.replace(POOL, "*y++ = (int8_t)(best ^ 1);")
    return text

if plant in ("slow", "stray", "wrong"):  # else nothing is touched, so that reports may be reused
    emission.read_header = planted
if plant == "large":
    for kind in {type(v) for v in VARIANTS}:
        def more(self, node, graph, target, ask=kind.scratch_bytes):
            return ask(self, node, graph, target) + 64 * (node.name == "conv1")
        kind.scratch_bytes = more
"""


class Project:
    """A folder with a suite, and pytest in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "test_net.py").write_text(SUITE)
        (folder / "conftest.py").write_text(PLANTS)

    def pytest(self, *options: str, plant: str = "") -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            (sys.executable, "-m", "pytest", "-q", *options),
            cwd=self.folder, capture_output=True, text=True, check=False,
            env={**os.environ, "PLANT": plant, "PYTHONPATH": path, "COLUMNS": "200"},
        )  # fmt: skip

    def baselines(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted(self.folder.glob("baselines/*/*.json"))}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found = Project(tmp_path_factory.mktemp("project"))
    done = found.pytest("--simharness-update")
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_without_a_baseline_a_figure_is_new_and_not_passed(tmp_path: Path) -> None:
    """The first run fails, says which file is missing and how to make it."""
    done = Project(tmp_path).pytest("-k", "one")

    assert done.returncode == 1
    assert "new: no baseline baselines/test_net/lenet5-int8.STM32F446" in done.stdout
    assert "--simharness-update" in done.stdout


def test_unchanged_code_passes_and_leaves_the_same_bytes(project: Project) -> None:
    """Also when the baselines are written again by two processes."""
    before = project.baselines()

    plain, parallel = project.pytest(), project.pytest("-n", "2", "--simharness-update")

    assert (plain.returncode, parallel.returncode) == (0, 0), plain.stdout + parallel.stdout
    assert len(before) == 2
    assert project.baselines() == before


@pytest.mark.parametrize(
    "plant, words",
    [
        ("slow", ("cycles got worse", "most in layer pool1", "instructions got worse")),
        ("large", ("arena got worse by", "most in layer conv1 (+64 B)")),
        ("wrong", ("the outputs are wrong, first in layer pool1", "lsb got worse")),
    ],
)
def test_each_planted_fault_fails_and_names_the_layer(
    project: Project, plant: str, words: tuple[str, ...]
) -> None:
    """A slower kernel, a tensor with 64 bytes more, a wrong result."""
    done = project.pytest("-k", "one", plant=plant)

    assert done.returncode == 1
    for word in words:
        assert word in done.stdout, done.stdout


def test_a_watched_network_fails_at_a_stray_read(project: Project) -> None:
    """Without a gate, too: layer, tensor, byte and what is wrong with it."""
    clean, stray = (project.pytest("-k", "watched", plant=plant) for plant in ("", "stray"))

    assert clean.returncode == 0, clean.stdout
    assert stray.returncode == 1
    assert "sanitizer: layer lenet5_int8_l" in stray.stdout, stray.stdout
    assert "reads bytes that nobody wrote" in stray.stdout


def test_what_a_gate_found_is_shown_beside_a_failed_assertion(project: Project) -> None:
    test = project.folder / "test_both.py"
    test.write_text("def test_both(sim):\n    sim('zoo:lenet5-int8')\n    assert 1 == 2\n")

    done = project.pytest(test.name)
    test.unlink()

    assert done.returncode == 1
    assert "assert 1 == 2" in done.stdout and "new: no baseline" in done.stdout


def test_a_tolerance_lets_small_changes_through(project: Project) -> None:
    """What is within the gates passes."""
    gates = "cycles:9%,time:9%,energy:9%,instructions:9%,flash:9%,text:9%,stack:64"

    done = project.pytest("-k", "one", f"--simharness-fail={gates}", plant="slow")

    assert done.returncode == 0, done.stdout


def test_figures_reach_junit(project: Project, tmp_path: Path) -> None:
    """Every gated run leaves its figures as properties of its test case."""
    file = tmp_path / "junit.xml"

    done = project.pytest(f"--junit-xml={file}", "-n", "2")

    assert done.returncode == 0, done.stdout
    assert '.unicorn.reference.cycles"' in file.read_text()


def test_a_baseline_of_another_schema_is_refused(project: Project, tmp_path: Path) -> None:
    """One sentence with both versions, no traceback of ours."""
    other = Project(tmp_path)
    for name, data in project.baselines().items():
        path = tmp_path / "baselines" / "test_net" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.replace(b'"schema_version": 1', b'"schema_version": 99'))

    done = other.pytest("-k", "one")

    assert done.returncode == 1
    assert "schema version 99" in done.stdout and "--simharness-update" in done.stdout
    assert "serial.py" not in done.stdout


@pytest.mark.parametrize("name, words", [("nowhere.onnx", "nowhere.onnx"), ("zoo:x", "shipped")])
def test_a_model_that_is_not_there(project: Project, name: str, words: str) -> None:
    """The message names it."""
    test = project.folder / "test_missing.py"
    test.write_text(f"def test_missing(sim):\n    sim({name!r})\n")

    done = project.pytest(test.name)
    test.unlink()

    assert done.returncode == 1
    assert words in done.stdout
    assert "pipeline.py" not in done.stdout  # what is wrong, not how we came to see it


def test_cores_come_from_the_command_line_and_from_markers(tmp_path: Path) -> None:
    """`core` is parametrised; a marker overrules --core."""
    (tmp_path / "test_cores.py").write_text(
        "import pytest\n"
        "def test_a(core): assert core in ('m0plus', 'm7')\n"
        "@pytest.mark.simharness_cores('m33')\n"
        "def test_b(core): assert core == 'm33'\n"
    )
    project = Project(tmp_path)

    done = project.pytest("test_cores.py", "--core", "m0plus", "--core", "m7", "-v")

    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    """A project that never asks for `sim` pays nothing for having simharness installed."""
    heavy = ("onnx", "onnxruntime", "unicorn", "simharness.api")
    (tmp_path / "test_light.py").write_text(
        f"import sys\ndef test_light(): assert not {set(heavy)!r} & set(sys.modules)\n"
    )
    project = Project(tmp_path)
    (tmp_path / "conftest.py").unlink()

    assert project.pytest("test_light.py").returncode == 0
