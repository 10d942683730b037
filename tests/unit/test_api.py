# SPDX-License-Identifier: MIT
"""The library runs networks end to end, and says in its results what went wrong, and where."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import simharness
from codegen import Compiled
from simharness import cli, pipeline
from simharness.errors import UsageError
from simharness.report.model import RUN_LAYER, Report

ZOO = "zoo:lenet5-int8"


@pytest.fixture(scope="module")
def lenet() -> Report:
    return simharness.run(ZOO, core="m4", samples=2)


def test_run_returns_a_typed_frozen_report(lenet: Report) -> None:
    assert isinstance(lenet, simharness.Report)
    assert lenet.ok and lenet.results.check is not None
    assert lenet.results.check.max_lsb == 0
    with pytest.raises(FrozenInstanceError):
        lenet.results.ok = False  # type: ignore[misc]


def test_networks_that_end_in_float_are_checked_in_lsb_too(tmp_path: Path) -> None:
    """Exporters put a DequantizeLinear at the end; what was computed in float has no LSB."""
    scale, zero = np.float32(0.1), np.int8(3)
    constants = [numpy_helper.from_array(v, n) for v, n in ((scale, "s"), (zero, "z"))]
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 8]) for n in "xy"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"]),
        helper.make_node("Relu", ["f"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(file, tmp_path / "m.onnx")

    quantized = simharness.run(tmp_path / "m.onnx", core="m4").results.check
    computed = simharness.run("zoo:lenet5-f32", core="m4", samples=1).results.check

    assert quantized is not None and (quantized.max_lsb, quantized.max_abs) == (0, 0.0)
    assert computed is not None and computed.ok and computed.max_lsb is None


def test_layers_add_up_to_the_run(lenet: Report) -> None:
    r = lenet.results
    assert r.cycles is not None and r.energy_uj is not None

    assert sum(y.instructions or 0 for y in r.layers) == r.instructions
    assert sum(y.cycles.mid for y in r.layers if y.cycles) == pytest.approx(r.cycles.mid, rel=1e-5)
    assert sum(y.energy_uj.mid for y in r.layers if y.energy_uj) == pytest.approx(
        r.energy_uj.mid, rel=1e-4
    )
    assert sum(y.macs for y in r.layers) == r.macs
    assert r.layers[-1].name == RUN_LAYER
    assert sum(y.share or 0.0 for y in r.layers) == pytest.approx(1.0, abs=0.001)


def test_macs_are_those_published_for_the_network(lenet: Report) -> None:
    """LeNet-5: 5*5*6*28*28 + 5*5*6*16*10*10 + 400*120 + 120*84 + 84*10, some never needed."""
    published = 117_600 + 240_000 + 48_000 + 10_080 + 840

    assert lenet.results.macs + lenet.results.removed.macs == pytest.approx(published, rel=0.01)


def test_time_is_cycles_at_the_clock() -> None:
    slow = simharness.run(ZOO, core="m4", clock_hz=16_000_000, samples=1, timing="zero-wait")
    cycles, time_ms = slow.results.cycles, slow.results.time_ms
    assert cycles is not None and time_ms is not None

    assert time_ms.mid == pytest.approx(cycles.mid / 16_000, rel=1e-5)
    assert cycles.low <= cycles.mid <= cycles.high


def test_the_fit_is_that_of_the_board(lenet: Report) -> None:
    names = {m.name for m in lenet.results.fit.memories}

    assert names == {"flash", "sram"}
    assert all(0 < m.used_bytes <= m.available_bytes for m in lenet.results.fit.memories)


def small_board(tmp_path: Path) -> Path:
    """STM32F446 with 8 KiB of SRAM."""
    from cycle_models.chip import load_chip

    text = load_chip("STM32F446").path.read_text(encoding="utf-8")
    assert text.count("size_bytes = 131_072") == 1
    path = tmp_path / "tiny.toml"
    path.write_text(text.replace("size_bytes = 131_072", "size_bytes = 8192"), encoding="utf-8")
    return path


def test_what_does_not_fit_is_measured_but_not_run(tmp_path: Path) -> None:
    report = simharness.run(ZOO, board=small_board(tmp_path))
    r = report.results
    sram = next(m for m in r.fit.memories if m.name == "sram")

    assert not report.ok and not r.fit.ok and r.check is None and r.cycles is None
    assert sram.shortfall_bytes == sram.used_bytes - 8192 > 0
    assert all(y.instructions is None for y in r.layers)


def test_what_does_not_fit_runs_on_demand(tmp_path: Path) -> None:
    report = simharness.run(ZOO, board=small_board(tmp_path), emulate_anyway=True, samples=1)
    r = report.results

    assert report.ok and not r.fit.ok and r.fit.enlarged
    assert r.check is not None and r.check.max_lsb == 0 and r.cycles is not None


def test_a_misfit_fails_the_command_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--board", str(small_board(tmp_path)), ZOO]) == 1

    printed = capsys.readouterr()
    assert printed.out.startswith("DOES NOT FIT")
    assert "sram is short of" in printed.out.splitlines()[1]
    assert "--emulate-anyway" in printed.err


def broken(compiled: Compiled) -> Compiled:
    """The program with one output bit of its second convolution flipped."""
    layer = next(y for y in compiled.program.layers if y.node == "conv2")
    file = f"{compiled.name}.c"
    before, function, after = compiled.sources[file].partition(f"{layer.symbol}(const")
    end = after.index("\n}")
    text = f"{before}{function}{after[:end]}\n    y0[7] = (int8_t)(y0[7] ^ 1);{after[end:]}"
    return replace(compiled, sources={**compiled.sources, file: text})


def test_a_broken_kernel_is_caught_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One flipped bit inside the network: exit 1, with layer, index, both values, accumulator."""
    generate = pipeline.generate
    monkeypatch.setattr(pipeline, "generate", lambda *a, **k: broken(generate(*a, **k)))

    assert cli.main(["run", "--core", "m4", ZOO, "--seed", "1"]) == 1

    said = capsys.readouterr().out
    assert said.startswith("WRONG")
    assert "first diverging layer: conv2 (ConvS8)" in said
    assert "index [0, 0, 0, 7]: ours " in said
    assert ", reference " in said and ", accumulator " in said


def test_build_writes_whole_directories(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("keep", encoding="utf-8")

    first = simharness.build(ZOO, tmp_path / "c")
    second = simharness.build(ZOO, tmp_path / "new" / "c")

    assert (tmp_path / "c" / "mine.txt").read_text(encoding="utf-8") == "keep"
    assert [p.name for p in first] == [p.name for p in second]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["c"]
    assert all(p.stat().st_mode & 0o044 for p in second)


@pytest.mark.parametrize("word", ["optimize", "requant", "planner"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match=f"unknown value 'x' for {word}; known are"):
        simharness.run(ZOO, **{word: "x"})  # type: ignore[arg-type]
