# SPDX-License-Identifier: MIT
"""Functions of any firmware are counted and timed, each without what it calls."""

from __future__ import annotations

from pathlib import Path

import pytest

import simharness
from cycle_models.chip import load_chip
from simharness import cli, toolchain
from simharness.errors import FaultError, UsageError
from simharness.machine import Machine
from simharness.report.model import Layer

CODE = """
#include <stdint.h>
static int8_t table[256] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
volatile int32_t result;
__attribute__((noinline)) int32_t dot(const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) { sum += a[i] * b[i]; }
    return sum;
}
__attribute__((noinline)) int32_t twice(int32_t n)
{
    return dot(table, table, n) + dot(table, table + 1, n - 1);
}
int work(void) { for (int32_t i = 0; i < 10; i++) { result += twice(100 + i); } return 0; }
void hang(void) { for (;;) { result++; } }
void wild(void) { *(volatile int32_t *)0x40020000 = 1; }
"""


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = toolchain.build({"k.c": CODE}, "m4", load_chip("STM32F446"), keep_all=True)
    path = tmp_path_factory.mktemp("firmware") / "f.elf"
    path.write_bytes(built.image.elf)
    return path


def row(report: simharness.Report, name: str) -> Layer:
    return next(y for y in report.results.layers if y.name == name)


def test_functions_are_counted_apart(firmware: Path) -> None:
    report = simharness.profile(firmware, "work", core="m4")
    names = [y.name for y in report.results.layers]

    assert report.ok and report.results.check is None
    assert names[:2] == ["dot", "twice"] and set(names) == {"dot", "twice", "work"}
    assert row(report, "dot").kernel == "20 calls"
    assert row(report, "twice").kernel == "10 calls"
    assert sum(y.instructions or 0 for y in report.results.layers) == report.results.instructions


def test_counts_are_those_of_calling_the_function(firmware: Path) -> None:
    """The same C, called through `Machine`, executes the same instructions."""
    report = simharness.profile(firmware, "twice", [100], core="m4", timing="zero-wait")
    called = Machine("m4", {"k.c": CODE}, optimize="balanced").count("twice", 100)

    assert report.results.instructions == called.instructions


def test_the_clock_and_the_board_matter(firmware: Path) -> None:
    zero_wait = simharness.profile(firmware, "work", core="m4", timing="zero-wait")
    flash = simharness.profile(firmware, "work", core="m4")
    slow = simharness.profile(firmware, "work", core="m4", clock_hz=16_000_000)

    assert zero_wait.results.instructions == flash.results.instructions
    assert zero_wait.results.cycles != flash.results.cycles
    assert slow.results.time_ms.mid > 5 * flash.results.time_ms.mid  # type: ignore[union-attr]


@pytest.mark.parametrize("style", ["table", "json", "html", "md", "csv", "callgrind", "speedscope"])
def test_every_view_shows_it(
    style: str, firmware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["profile", str(firmware), "--call", "twice", "--args", "0x10", "--core", "m4"]

    assert cli.main([*command, "--format", style]) == 0
    assert "dot" in capsys.readouterr().out


def test_an_unknown_function_suggests_others(firmware: Path) -> None:
    with pytest.raises(UsageError, match=r"no function 'twic'; did you mean twice\?"):
        simharness.profile(firmware, "twic", core="m4")


def test_what_never_returns_runs_out_of_budget(firmware: Path) -> None:
    with pytest.raises(FaultError, match="more than 10000 instructions"):
        simharness.profile(firmware, "hang", core="m4", budget=10_000)


def test_a_missing_peripheral_is_a_fault_with_its_place(
    firmware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["profile", str(firmware), "--call", "wild", "--core", "m4"]) == 4
    assert "wrote to an address where there is no memory, at wild" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no elf", b"\x7fELF" + bytes(99)])
def test_bad_files_are_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.elf"
    path.write_bytes(content)

    assert cli.main(["profile", str(path), "--core", "m4"]) == 2
    assert "ELF" in capsys.readouterr().err


def test_bad_arguments_are_refused(firmware: Path) -> None:
    command = ["profile", str(firmware), "--core", "m4", "--call", "twice", "--args"]

    assert cli.main([*command, "ten"]) == 2
    assert cli.main([*command, "1,2,3,4,5"]) == 2


def test_firmware_for_another_chip_is_refused(firmware: Path) -> None:
    with pytest.raises(UsageError, match=r"f\.elf: .* do not fit the memories of RP2040"):
        simharness.profile(firmware, "work", core="m0plus")
