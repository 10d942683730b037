# SPDX-License-Identifier: MIT
"""The report's JSON has the published keys and schema, and bad files are refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from report_samples import report

from simharness.errors import UsageError
from simharness.report import figures, from_json, read, to_json
from simharness.report.model import (
    Check,
    Divergence,
    Fit,
    MemoryFit,
    Report,
)
from simharness.report.serial import SCHEMA_PATH, schema_text
from simharness.report.terminal import render

PUBLIC_KEYS = (
    "schema_version", "inputs.0.path", "inputs.0.sha256", "toolchain.version", "engine.name",
    "board.name", "results.fit.ok", "results.check.max_lsb", "results.instructions",
    *(f"results.{figure}.{end}" for figure in ("cycles", "time_ms", "energy_uj")
      for end in ("low", "mid", "high")),
    *(f"results.memory.{part}_bytes"
      for part in ("flash", "text", "weights", "arena", "scratch", "stack")),
    "results.fit.memories.0.used_bytes", "results.fit.memories.0.available_bytes",
    "results.fit.memories.0.shortfall_bytes",
    *(f"results.layers.0.{key}" for key in ("name", "op", "macs", "instructions", "cycles.mid")),
)  # fmt: skip


@pytest.mark.parametrize("path", PUBLIC_KEYS)
def test_public_keys_are_there(path: str) -> None:
    """Other people's scripts read these keys."""
    value = json.loads(to_json(report()))
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]

    assert value is not None


def test_what_is_not_known_is_absent() -> None:
    """A figure that a run cannot give has no key, rather than a null that scripts trip over."""
    results = json.loads(to_json(report(energy_uj=None)))["results"]

    assert "energy_uj" not in results
    assert "max_abs" not in results["check"]


def test_the_published_schema_is_current() -> None:
    """`simharness/schema/report.schema.json` is what the dataclasses say.

    To write it again: python -m simharness.schema
    """
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text()


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(to_json(report()), encoding="utf-8")

    assert read(path) == report()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a report"),
        ("[]", "no schema_version"),
        ("{}", "no schema_version"),
        ('{"schema_version": 99}', "schema version 99, this simharness reads 1"),
        ('{"schema_version": 1}', "not a valid report"),
    ],
)
def test_bad_reports_are_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        from_json(text, "r.json")


def test_a_report_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no.json: cannot be read"):
        read(tmp_path / "no.json")


def test_verdict_and_fit_come_first() -> None:
    lines = render(report()).splitlines()

    assert lines[0] == "OK: tiny.onnx on STM32F446 (Cortex-M4)"
    assert lines[1] == "fits"
    assert "0 LSB" in lines[2]


def test_the_terminal_shows_every_headline_figure() -> None:
    text = render(report())

    for figure in ("10,000", "0.05556", "9,000", "6,400", "5,000 B", "272 B", "96 B", "5"):
        assert figure in text
    assert "conv" in text and "nn_convs8_s8" in text


def test_a_shortfall_is_said_in_bytes_per_memory() -> None:
    short = Fit(False, (MemoryFit("sram", 200_000, 131_072, 68_928),))

    text = render(report(ok=False, fit=short, check=None))

    assert text.startswith("DOES NOT FIT")
    assert "sram is short of 68,928 B" in text


def test_the_first_diverging_layer_is_shown() -> None:
    where = Divergence(
        layer="conv", op="ConvS8", tensor="conv_out", index=(0, 1, 2, 3), ours=5, reference=6,
        sample=2, accumulator=1234,
    )  # fmt: skip
    bad = Check(
        ok=False, reference="ONNX Runtime", samples=4, elements=10, mismatches=1, max_lsb=1,
        divergence=where,
    )  # fmt: skip

    text = render(report(ok=False, check=bad))

    assert text.startswith("WRONG")
    assert "conv (ConvS8)" in text and "[0, 1, 2, 3]" in text
    assert "ours 5, reference 6, accumulator 1234" in text


def test_names_from_files_cannot_steer_the_terminal() -> None:
    plain = to_json(report()).replace('"conv"', '"c\\u001b[2Jonv"').replace("tiny.onnx", "t\\u0007")
    hostile = msgspec.json.decode(plain, type=Report)

    text = render(hostile)

    assert "\x1b" not in text and "\x07" not in text


def test_colour_only_on_demand() -> None:
    assert "\x1b[" in render(report(), color=True)
    assert "\x1b[" not in render(report())


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("conv1", "conv1"),
        ("a/Relu;a/BiasAdd;b/Conv2D;a/Conv2D1_prequant", "a/Conv2D1"),
        ("m/c_5/BiasAdd;m/c_5/Conv2D;m/c_5/BiasAdd/ReadVariableOp/resource1_prequant", "m/c_5"),
        ("blocks/10/mobile_inverted_conv/depth_conv/Relu6", "blocks/10/mobile_…v/depth_conv/Relu6"),
        ("_prequant", "_prequant"),
        (";", ";"),
    ],
)
def test_long_names_are_short_in_narrow_places(name: str, short: str) -> None:
    assert figures.brief(name) == short and len(short) <= 36
