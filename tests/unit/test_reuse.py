# SPDX-License-Identifier: MIT
"""An earlier report is taken again only where nothing that it rests on has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import simharness
from simharness import cache, reuse, session, zoo
from simharness.options import BUDGET, RunOptions

ZOO = "zoo:lenet5-int8"
OPTIONS = RunOptions(
    "m4", None, None, "auto", "balanced", "exact", "auto", False, "unicorn", None, 1, 0, False,
    BUDGET, "auto",
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path / "cache"))


def test_the_second_run_does_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    first = simharness.run(ZOO, core="m4", samples=1, reuse=True)
    monkeypatch.setattr(session, "run", None)

    assert simharness.run(ZOO, core="m4", samples=1, reuse=True) == first


def test_a_damaged_entry_is_not_believed() -> None:
    first = simharness.run(ZOO, core="m4", samples=1, reuse=True)
    entries = list((cache.folder() / "entries" / "reports").iterdir())
    for path in entries:
        path.write_bytes(path.read_bytes()[:-9])

    assert len(entries) == 1
    assert simharness.run(ZOO, core="m4", samples=1, reuse=True) == first


def test_failures_are_not_kept(tmp_path: Path) -> None:
    from cycle_models.chip import load_chip

    text = load_chip("STM32F446").path.read_text(encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(text.replace("131_072", "8192"), encoding="utf-8")

    assert not simharness.run(ZOO, board=tmp_path / "tiny.toml", reuse=True).ok
    assert not (cache.folder() / "entries" / "reports").exists()


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
    monkeypatch.setattr(reuse, "_sources", lambda: "a kernel has changed")
    keys.append(reuse.key(model, options))

    assert len(set(keys)) == 4 and all(keys)


def test_what_cannot_be_known_is_not_kept(tmp_path: Path) -> None:
    outside = tmp_path / "m.onnx"
    outside.write_bytes(b"\x08\x08 location weights.bin")

    assert reuse.key(outside, OPTIONS) == ""
    assert reuse.key(ZOO, replace(OPTIONS, engine="qemu")) == ""
    assert reuse.key(tmp_path / "none.onnx", OPTIONS) == ""
