# SPDX-License-Identifier: MIT
"""The gate between two reports fails for what got worse, and says which layer did it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import layer, report

from simharness import cli
from simharness.errors import UsageError
from simharness.report import to_json
from simharness.report.compare import EXACT, compare, tolerances
from simharness.report.comparison_views import markdown_text, text
from simharness.report.model import (
    Board,
    Check,
    Cycles,
    Divergence,
    Fit,
    InputFile,
    Memory,
    MemoryFit,
    Report,
)

BASE = report()


def slower(cycles: int) -> Report:
    """BASE with a first layer, and so a run, that takes so many cycles more."""
    layers = (layer("conv", "ConvS8", 9000 + cycles, macs=6400), *BASE.results.layers[1:])
    return report(layers=layers, cycles=Cycles(9000, 10000 + cycles, 11000 + cycles))


def with_memory(**changes: int) -> Report:
    memory: Memory = replace(BASE.results.memory, **changes)  # type: ignore[arg-type]
    return report(memory=memory)


def test_a_report_is_no_worse_than_itself() -> None:
    found = compare(BASE, BASE)

    assert found.ok and found.layers == () and found.notes == ()
    assert {d.status for d in found.deltas} == {"same"}


def test_one_cycle_more_fails_and_names_the_layer() -> None:
    found = compare(BASE, slower(1))

    assert not found.ok
    assert found.deltas[0].metric == "cycles"
    assert "cycles got worse by 1" in found.failures[0]
    assert "most in layer conv (+1 cycles)" in found.failures[0]


def test_a_larger_tensor_fails_and_names_the_layer() -> None:
    head = with_memory(arena_bytes=336)
    fat = replace(head.results.layers[0], output_bytes=320)
    layers = (fat, *head.results.layers[1:])

    found = compare(BASE, replace(head, results=replace(head.results, layers=layers)))

    assert "arena got worse by 64 B (+23.5%), allowed is 0, most in layer conv (+64 B)" in text(
        found
    )


def test_wrong_outputs_fail_whatever_is_gated() -> None:
    where = Divergence(
        layer="conv", op="ConvS8", tensor="t", index=(0,), ours=1, reference=2, sample=0
    )
    bad = Check(
        ok=False, reference="r", samples=1, elements=1, mismatches=1, max_lsb=1, divergence=where
    )

    found = compare(BASE, report(check=bad, ok=False), {})

    assert found.failures == ("the outputs are wrong, first in layer conv",)


def test_no_longer_fitting_fails() -> None:
    fit = Fit(False, (MemoryFit("sram", 2, 1, 1),))

    assert not compare(BASE, report(fit=fit), {}).ok


def test_a_missing_figure_is_not_passed() -> None:
    found = compare(BASE, report(cycles=None))

    assert found.failures == ("cycles is missing from the new report",)


def test_a_figure_that_only_the_new_report_has_is_new() -> None:
    found = compare(report(energy_uj=None), BASE)

    assert found.ok
    assert next(d for d in found.deltas if d.metric == "energy").status == "new"


@pytest.mark.parametrize(
    ("gates", "extra", "ok"),
    [
        ("cycles:1%", 100, True),
        ("cycles:1%", 101, False),
        ("cycles:100", 100, True),
        ("cycles:99", 100, False),
        ("arena:0", 5000, True),
        ("cycles:0%,arena:0", 1, False),
    ],
)
def test_tolerances_are_kept_to_the_cycle(gates: str, extra: int, ok: bool) -> None:
    assert compare(BASE, slower(extra), tolerances(gates)).ok is ok


def test_better_is_never_a_failure() -> None:
    found = compare(slower(500), BASE)

    assert found.ok
    assert "better" in text(found)


@pytest.mark.parametrize("gates", ["cycles", "cycles:-1", "cycles:1%%", "speed:1", "cycles=1"])
def test_bad_gates_are_refused(gates: str) -> None:
    with pytest.raises(UsageError):
        tolerances(gates)


def test_reports_of_different_networks_are_refused() -> None:
    other = replace(BASE, model="other.onnx", inputs=(InputFile("model", "other.onnx", "1" * 64),))

    with pytest.raises(UsageError, match=r"different networks: tiny\.onnx and other\.onnx"):
        compare(BASE, other)
    assert compare(BASE, other, anyway=True).notes == ("the model file other.onnx has changed",)


def test_reports_for_different_machines_are_refused() -> None:
    other = replace(BASE, board=Board("STM32F469", "m4", 180_000_000, ""))

    with pytest.raises(UsageError, match="different machines: STM32F446"):
        compare(BASE, other)


def test_another_compiler_is_noted() -> None:
    assert BASE.toolchain is not None
    other = replace(BASE, toolchain=replace(BASE.toolchain, version="gcc 13"))

    assert compare(BASE, other).notes == ("compiler differs: gcc 12.2, now gcc 13",)


def test_other_options_are_noted() -> None:
    assert BASE.options is not None
    other = replace(BASE, options=replace(BASE.options, samples=2, place="arena=dtcm"))

    assert compare(BASE, other).notes == (
        "samples differs: 4, now 2", "place differs: none, now arena=dtcm",
    )  # fmt: skip


def test_worst_comes_first() -> None:
    found = compare(BASE, with_memory(arena_bytes=273, stack_bytes=960, text_bytes=1))

    assert [d.metric for d in found.deltas[:2]] == ["stack", "arena"]


def test_markdown_folds_the_layers_and_escapes_names() -> None:
    head = slower(9)
    fat = replace(head.results.layers[0], name="a|b<script>")
    shown = markdown_text(
        compare(BASE, report(layers=(fat, *head.results.layers[1:]), cycles=head.results.cycles))
    )

    assert shown.startswith("### ❌ WORSE: tiny.onnx on STM32F446")
    assert "<details><summary>layers that moved: 2</summary>" in shown
    assert r"a\|b\<script\>" in shown


def save(path: Path, found: Report) -> str:
    path.write_text(to_json(found), encoding="utf-8")
    return str(path)


def test_the_command_is_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, worse = save(tmp_path / "a.json", BASE), save(tmp_path / "b.json", slower(1))

    assert cli.main(["compare", base, base]) == 0
    assert cli.main(["compare", base, worse]) == 1
    assert cli.main(["compare", base, worse, "--fail", "cycles:1%"]) == 0
    assert cli.main(["compare", base, worse, "--format", "md", "-o", str(tmp_path / "c.md")]) == 1
    assert "WORSE" in (tmp_path / "c.md").read_text(encoding="utf-8")
    assert "error: WORSE" in capsys.readouterr().err


def test_bad_reports_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = save(tmp_path / "a.json", BASE)
    (tmp_path / "old.json").write_text('{"schema_version": 0}', encoding="utf-8")

    assert cli.main(["compare", base, str(tmp_path / "none.json")]) == 2
    assert cli.main(["compare", base, str(tmp_path / "old.json")]) == 2
    assert "schema version 0, this simharness reads 1" in capsys.readouterr().err


def test_reports_are_read_from_git_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(
            ["git", *identity, *arguments], check=True, capture_output=True, cwd=tmp_path
        )

    git("init", "-q")
    save(tmp_path / "r.json", BASE)
    git("add", "r.json")
    git("commit", "-qm", "base")
    save(tmp_path / "r.json", slower(3))
    monkeypatch.chdir(tmp_path)

    assert cli.main(["compare", "HEAD:r.json", "r.json"]) == 1
    assert cli.main(["compare", "HEAD:r.json", "HEAD:r.json"]) == 0
    assert cli.main(["compare", "HEAD:none.json", "r.json"]) == 2


def test_every_metric_is_gated_by_default() -> None:
    assert all(d.gate == EXACT[d.metric] for d in compare(BASE, BASE).deltas)
