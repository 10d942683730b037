# SPDX-License-Identifier: MIT
"""Chip files: every chip loads, and a file without sources, or a wrong one, is refused by name
and line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle_models.chip import ROLES, chip_names, default_chip, load_chip
from cycle_models.core import core_names, load_core
from cycle_models.errors import MachineError

_GOOD = """\
name = "Mine"
core = "m4"
description = "a board of one's own"

[clock.default]
hz = 80_000_000
source = "data sheet"
status = "documented"

[clock.max]
hz = 80_000_000
source = "data sheet"
status = "documented"

[memory.flash]
kind = "flash"
origin = 0x0800_0000
size_bytes = 65536
source = "data sheet"
status = "documented"

[memory.sram]
kind = "sram"
origin = 0x2000_0000
size_bytes = 32768
source = "data sheet"
status = "documented"

[placement]
code = "flash"
weights = "flash"
data = "sram"
arena = "sram"
stack = "sram"
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", chip_names())
def test_every_shipped_chip_loads_and_places_every_role(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    assert set(chip.placement) == set(ROLES)
    assert 0 < chip.clock_default_hz <= chip.clock_max_hz
    flash = chip.memory(chip.placement["code"])
    assert chip.memory_at(flash.origin) == flash


@pytest.mark.parametrize("core", core_names())
def test_every_core_has_a_default_chip_of_that_core(core: str) -> None:
    assert default_chip(core).core == core


def test_names_are_found_in_any_case() -> None:
    assert load_chip("stm32f446").name == "STM32F446"


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(MachineError, match=r"unknown chip 'Z80'.*RP2040"):
        load_chip("Z80")
    with pytest.raises(MachineError, match=r"unknown core 'm5'.*m0plus"):
        load_core("m5")
    with pytest.raises(MachineError, match=r"unknown core 'm5'"):
        default_chip("m5")


def test_a_users_file_loads(tmp_path: Path) -> None:
    assert load_chip(_write(tmp_path, _GOOD)).memory("sram").size_bytes == 32768


def test_a_figure_without_source_is_refused_with_its_line(tmp_path: Path) -> None:
    lines = _GOOD.splitlines()
    at = lines.index("size_bytes = 32768")
    del lines[at + 1]  # the source of memory.sram
    path = _write(tmp_path, "\n".join(lines))
    origin_line = lines.index("origin = 0x2000_0000") + 1
    with pytest.raises(
        MachineError, match=rf"mine\.toml:{origin_line}: memory\.sram\.origin has no source"
    ):
        load_chip(path)


def test_an_unknown_status_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, _GOOD.replace('"documented"', '"guessed"', 1))
    with pytest.raises(MachineError, match=r"mine\.toml:8: clock\.default\.status is 'guessed'"):
        load_chip(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('core = "m4"', 'core = "z80"', "unknown core 'z80'"),
        ("0x2000_0000", "0x0800_8000", "overlap"),
        ('arena = "sram"', 'arena = "dram"', "placement.arena names no memory"),
        ('arena = "sram"', 'arena = "flash"', "cannot be written"),
        ("size_bytes = 32768", "size_bytes = -1", "integer of zero or more"),
        ('kind = "sram"', 'kind = "rom"', "must be one of"),
        ("[clock.max]", "[clock.slow]", "clock.max"),
        ('name = "Mine"', "name = Mine", "not valid TOML"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(MachineError, match=message):
        load_chip(_write(tmp_path, _GOOD.replace(old, new, 1)))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        load_chip(tmp_path / "absent.toml")
