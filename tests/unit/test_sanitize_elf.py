# SPDX-License-Identifier: MIT
"""Anybody's ELF under watch: a file says what functions may touch, broken C is convicted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import simharness
from cycle_models.chip import load_chip
from simharness import cli, toolchain
from simharness.elf import parse
from simharness.errors import UsageError

CODE = """
#include <stdint.h>
int8_t arena[96], answer[16];
#define LAYER __attribute__((noinline, noipa)) void
LAYER ramp(void) { for (volatile int i = 0; i < 32; i++) { arena[i] = (int8_t)i; } }
LAYER fold(void)
{
    volatile int8_t *sums = arena + 64;
    for (int i = 0; i < 16; i++) { sums[i] = 0; }
    for (int i = 0; i < 32; i++) { sums[i % 16] += ((volatile int8_t *)arena)[i]; }
    for (int i = 0; i < 16; i++) { arena[32 + i] = sums[i]; }
}
LAYER last(void) { for (volatile int i = 0; i < 16; i++) { answer[i] = arena[32 + i]; } }
void net(void) { ramp(); fold(); last(); }
"""

Regions = list[dict[str, Any]]


def region(tensor: str, symbol: str, size: int, offset: int = 0) -> dict[str, Any]:
    return {"tensor": tensor, "symbol": symbol, "offset": offset, "size": size}


RAMP, SUMS, SUM = (
    region("ramp", "arena", 32), region("sums", "arena", 16, 64), region("sum", "arena", 16, 32),
)  # fmt: skip
ANSWER = region("answer", "answer", 16)
CONTRACT: dict[str, Any] = {
    "watched": [region("arena", "arena", 96), ANSWER],
    "layers": [
        {"function": "ramp", "writes": [RAMP]},
        {"function": "fold", "reads": [RAMP], "writes": [SUM], "scratch": [SUMS]},
        {"function": "last", "reads": [SUM], "writes": [ANSWER]},
    ],
    "results": [ANSWER],
}


def firmware(folder: Path, code: str = CODE, *, named_stack: bool = True) -> Path:
    built = toolchain.build({"net.c": code}, "m4", load_chip("STM32F446"), keep_all=True)
    path = folder / "net.elf"
    path.write_bytes(built.image.elf)
    if not named_stack:
        strip = ["--strip-symbol=sim_stack_bottom", "--strip-symbol=sim_stack_top"]
        subprocess.run(["arm-none-eabi-objcopy", *strip, path], check=True)
    return path


def contract(folder: Path, content: object = CONTRACT) -> Path:
    path = folder / "contract.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def command(elf: Path, rules: Path, *more: str) -> list[str]:
    return ["profile", str(elf), "--core", "m4", "--call", "net", "--sanitize", str(rules), *more]


def test_right_firmware_is_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command(firmware(tmp_path), contract(tmp_path))) == 0
    assert "no wrong memory access" in capsys.readouterr().out


@pytest.mark.needs("arm-none-eabi-gcc")
def test_a_stack_without_a_name_is_nobodys_tensor(tmp_path: Path) -> None:
    """As in ELFs that other tools made: the contract says how much of it is free to use."""
    elf = firmware(tmp_path, named_stack=False)
    cramped = contract(tmp_path, CONTRACT | {"stack": 0})
    assert not simharness.profile(elf, "net", core="m4", sanitize=cramped).ok

    assert simharness.profile(elf, "net", core="m4", sanitize=contract(tmp_path)).ok


@pytest.mark.parametrize(
    ("right", "wrong", "layer", "what", "tensor", "offset"),
    [
        ("i = 0; i < 32; i++) { sums", "i = 0; i < 33; i++) { sums", "fold", "reads", "sum", 0),
        ("sums[i] = 0", "", "fold", "reads scratch that it did not write", "sums", 0),
        ("arena[32 + i]; }", "arena[33 + i]; }", "last", "reads outside its inputs", "sum", 16),
        ("answer[i] =", "answer[i + 1] =", "last", "writes ", "answer", 16),
        ("{ ramp();", "{", "fold", "reads bytes that nobody wrote", "ramp", 0),
    ],
)
def test_broken_firmware_is_convicted(
    right: str, wrong: str, layer: str, what: str, tensor: str, offset: int,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Layer, tensor, byte, address and symbol; exit 1, in every format."""
    assert CODE.count(right) == 1
    elf = firmware(tmp_path, CODE.replace(right, wrong))

    assert cli.main(command(elf, contract(tmp_path), "--format", "json")) == 1

    found = capsys.readouterr()
    violations = json.loads(found.out)["results"]["sanitizer"]["violations"]
    (one,) = [v for v in violations if v["what"].startswith(what) and v["layer"] == layer]
    assert (one["tensor"], one["offset"]) == (tensor, offset)
    symbol = "answer" if tensor == "answer" else "arena"
    places = {r["tensor"]: r["offset"] for r in (RAMP, SUMS, SUM, ANSWER)}
    symbols = parse(elf.read_bytes()).symbols
    assert one["address"] == symbols[symbol].address + places[tensor] + offset
    assert one["symbol"].startswith(layer)
    assert f"layer {layer} {what}" in found.err


def test_a_result_that_is_never_written(tmp_path: Path) -> None:
    rules = CONTRACT | {"results": [region("answer", "arena", 16, 80)]}
    report = simharness.profile(
        firmware(tmp_path), "net", core="m4", sanitize=contract(tmp_path, rules)
    )

    assert [v.count for v in report.results.sanitizer.violations] == [16]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a memory contract"),
        ("[]", "not a memory contract"),
        (CONTRACT | {"layer": []}, "unknown field `layer`"),
        (CONTRACT | {"watched": [region("a", "arena", 0)]}, r"\$.watched\[0\].size"),
        (CONTRACT | {"results": [region("a", "nowhere", 4)]}, r"\$.results\[0\] .*'nowhere'"),
        (CONTRACT | {"given": [region("a", "arena", 97)]}, r"\$.given\[0\] .*inside any of"),
        (CONTRACT | {"given": [{"tensor": "a", "size": 4}]}, "a symbol or an address"),
        (CONTRACT | {"layers": [{"function": "arena"}]}, r"\$.layers\[0\]: .*no function 'arena'"),
    ],
)
def test_bad_contracts_are_refused_with_their_place(
    content: object, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elf, path = firmware(tmp_path), contract(tmp_path, content)
    with pytest.raises(UsageError, match=words):
        simharness.profile(elf, "net", core="m4", sanitize=path)

    assert cli.main(command(elf, path)) == 2
    assert "contract.json" in capsys.readouterr().err
