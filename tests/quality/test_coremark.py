# SPDX-License-Identifier: MIT
"""CoreMark in tightly coupled memory against published scores, for those who have it built.

Neither CoreMark's source nor a way to build it is part of this repository. Point
SIMHARNESS_COREMARK at a folder of ELF files named CORE-LEVEL.elf (`m4-O2.elf`), made by GCC 12 for
a bare core with code at address 0 and data at 0x20000000, whose port defines the usual
`start_time` and `stop_time` and takes the iteration count from `seed4_volatile`.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest
from coremark_run import count_between

from cycle_models.published import coremark_error, coremark_measured

LIMITS = {  # mean absolute error, percent: over the optimized builds, and for each of -O0 and -Og
    "m4": (1.5, 5.0),
    "m7": (3.0, 8.0),
    "m33": (4.0, 8.0),
}
OPTIMIZED = ("O1", "Os", "O2", "O3")


@pytest.fixture(scope="session")
def coremark() -> Path:
    folder = os.environ.get("SIMHARNESS_COREMARK", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set SIMHARNESS_COREMARK to a folder of CoreMark ELF files (see this module)")
    return Path(folder)


def _errors(folder: Path, core: str, levels: tuple[str, ...]) -> list[float]:
    found = []
    for level in levels:
        elf = folder / f"{core}-{level}.elf"
        if not elf.exists():
            pytest.skip(f"{elf.name} is missing")
        run = count_between(elf.read_bytes(), core, "start_time", "stop_time")
        found.append(coremark_error(core, level, run.profile, run.code, run.iterations))
    return found


@pytest.mark.parametrize("core", ["m4", "m7", "m33"])
def test_optimized_builds(coremark: Path, core: str) -> None:
    errors = _errors(coremark, core, OPTIMIZED)
    assert statistics.mean(abs(e) for e in errors) <= LIMITS[core][0]


@pytest.mark.parametrize("core", ["m4", "m7", "m33"])
@pytest.mark.parametrize("level", ["O0", "Og"])
def test_builds_full_of_stack_traffic(coremark: Path, core: str, level: str) -> None:
    (error,) = _errors(coremark, core, (level,))
    assert abs(error) <= LIMITS[core][1]


def test_every_core_and_level_has_published_rows() -> None:
    for core in LIMITS:
        for level in ("O0", "Og", *OPTIMIZED):
            assert coremark_measured(core, level)
