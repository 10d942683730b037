# SPDX-License-Identifier: MIT
"""Networks are compared as git has them at two revisions: run, gated, and named by their path."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from simharness import cli, revisions, zoo
from simharness.errors import UsageError
from simharness.files import data_files

NET = "nets/net.onnx"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, cwd=folder)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """main~1 has a small network, main a larger one under the same path, the tree the same."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "nets").mkdir()
    for name in ("lenet5-int8", "lenet5-f32"):
        shutil.copy(zoo.path(name), tmp_path / NET)
        commit(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_got_worse_between_two_revisions_fails(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", "main~1", "main", "--model", NET, "--samples", "1"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"WORSE: {NET} on STM32F446\n- ")
    assert f"note: the model file {NET} has changed" in said

    assert cli.main(["compare", "main", "main~1", "--model", NET, "--fail=cycles:0"]) == 0
    assert "better" in capsys.readouterr().out


def test_without_head_the_working_tree_is_meant(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths count from the folder one is in."""
    monkeypatch.chdir(repository / "nets")
    assert cli.main(["compare", "HEAD", "--model", "net.onnx", "--samples=1"]) == 0
    assert "nothing changed" in capsys.readouterr().out

    assert cli.main(["compare", "HEAD:net.onnx", "net.onnx", "--samples=1", "--format=md"]) == 0
    assert "✅ OK: net.onnx" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "main", "--model", NET), "nowhere: git knows no such revision"),
        (("main~1", "main", "--model", "x.onnx"), "main~1:x.onnx: git has no such file"),
        (("main~1:x.json", "main:x.json"), "main~1:x.json: git has no such file"),
        (("main~1", "main"), "main~1 is a git revision: say of which network, as --model"),
        (("main~1",), "compare what with what?"),
    ],
)
def test_what_cannot_be_found_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert cli.main(["compare", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(UsageError, match="in no git repository"):
        revisions.resolve("main")


def test_a_bad_network_is_blamed_on_its_revision(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / NET).write_bytes(b"no network")
    commit(repository, "broken")

    assert cli.main(["compare", "HEAD", "HEAD~1", "--model", NET]) == 2
    assert "at HEAD: net.onnx: this is not an ONNX file" in capsys.readouterr().err


def with_location(location: str) -> bytes:
    """A model, one of whose weights is said to lie in another file."""
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])
    node = helper.make_node("Constant", [], ["y"], value=weight)
    return helper.make_model(helper.make_graph([node], "g", [], [out])).SerializeToString()


def test_weights_in_other_files_come_along(repository: Path, tmp_path: Path) -> None:
    (repository / NET).write_bytes(with_location("data/w.bin"))
    (repository / "nets" / "data").mkdir()
    (repository / "nets" / "data" / "w.bin").write_bytes(b"w" * 16)
    commit(repository, "external")
    target = tmp_path / "copy"
    target.mkdir()

    assert revisions.checkout("HEAD", NET, target) == target / "net.onnx"
    assert (target / "data" / "w.bin").read_bytes() == b"w" * 16


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w", ""])
def test_no_file_outside_the_models_folder_is_touched(location: str) -> None:
    assert data_files(with_location(location)) == ()
