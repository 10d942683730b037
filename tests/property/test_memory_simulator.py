# SPDX-License-Identifier: MIT
"""The memory simulator: what it remembers of earlier blocks changes no result."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycle_models import memory
from cycle_models.chip import load_chip
from cycle_models.memory import Simulator, Totals, memory_system
from simharness import native

pytestmark = pytest.mark.needs("cc")

_FLASH, _SRAM = 0x0800_0000, 0x2000_0000

Step = tuple[int | None, int, int, tuple[int, ...]]
"""Halfword (None: where the last block ended) and halfwords of a block, its cycles, and the words
that it loads.
"""

_STEPS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 40), st.integers(1, 60), st.integers(1, 90),
        st.lists(st.integers(0, 30), max_size=4).map(tuple),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(native.build(str(memory.SOURCE))))


def _run(simulator: Simulator, steps: list[Step]) -> tuple[int, ...]:
    end = 0
    for wanted, length, cycles, loads in steps:
        at = end if wanted is None else wanted
        end = at + length
        simulator.block(_FLASH + 2 * at, 2 * length, cycles, [False] * len(loads))
        for word in loads:
            simulator.access((_FLASH if word % 3 else _SRAM) + 4 * word, 4)
    totals = simulator.totals()
    return tuple(getattr(totals, name) for name, *_ in Totals._fields_)


@pytest.mark.parametrize("chip", ["STM32G0B1", "STM32L4R5", "STM32U575"])
@given(steps=_STEPS, turns=st.integers(1, 4))
def test_a_second_run_from_reset_gives_the_same(
    library: ctypes.CDLL, chip: str, steps: list[Step], turns: int
) -> None:
    simulator = Simulator(library, memory_system(load_chip(chip)))
    first = _run(simulator, steps * turns)
    library.ms_reset(simulator._pointer)
    assert _run(simulator, steps * turns) == first
    assert _run(Simulator(library, memory_system(load_chip(chip))), steps * turns) == first
