# SPDX-License-Identifier: MIT
"""The memory simulator reproduces the published figures that isolate a memory system.

The events are what the published code does: fetches of a loop or of straight-line code, or one
access. Code with its core time, so that only the memory is under test.
"""

from __future__ import annotations

import ctypes
from itertools import pairwise

import pytest

from cycle_models import memory
from cycle_models.chip import load_chip
from cycle_models.core import Core, load_core
from cycle_models.decode import Decoder
from cycle_models.memory import Simulator, memory_system, stalls_of
from cycle_models.profile import Block, CodeImage, Edge, Profile, Segment
from cycle_models.timing import time_profiles
from simharness import native

_LOOP_BYTES = 4
_LOOP_CYCLES = 3.0  # SUBS and a taken branch, two 16-bit instructions
_BASE = 0x1000
_FLASH = {"nRF52840": 0x100, "STM32F446": 0x0800_0000}


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return ctypes.CDLL(str(native.build(str(memory.SOURCE))))


def _loop(simulator: Simulator, pc: int, times: int) -> float:
    for _ in range(times):
        simulator.block(pc, _LOOP_BYTES, _LOOP_CYCLES)
    return simulator.now()


def _iteration(library: ctypes.CDLL, chip: str, pc: int, disabled: frozenset[str]) -> float:
    system = memory_system(load_chip(chip), disabled=disabled)
    return (
        _loop(Simulator(library, system), pc, 30) - _loop(Simulator(library, system), pc, 20)
    ) / 10


def _straight(simulator: Simulator, lines: int, core_cycles: float = 4.0) -> float:
    for line in range(lines):
        simulator.block(_FLASH["STM32F446"] + 16 * line, 16, core_cycles)
    return simulator.now()


def _cycles(code: bytes, core: Core) -> float:
    """Zero-wait cycles of instructions that lead to each other, two bytes each."""
    if Decoder(CodeImage((Segment(_BASE, code),))).block(_BASE, 2)[0].is_branch:
        blocks = tuple(Block(_BASE + at, 2, 1) for at in range(0, len(code), 2))
    else:
        blocks = (Block(_BASE, len(code), 1),)
    edges = tuple(Edge(a.address, b.address, 1) for a, b in pairwise(blocks))
    image = CodeImage((Segment(_BASE, code),))
    return time_profiles([Profile("bench", blocks, edges)], image, core).total.cycles.mid


def test_loop_nrfx_nrf52_uncached(library: ctypes.CDLL) -> None:
    assert _iteration(library, "nRF52840", 0x100, frozenset({"icache"})) == 7


def test_loop_nrfx_nrf52_cached(library: ctypes.CDLL) -> None:
    assert _iteration(library, "nRF52840", 0x100, frozenset()) == 3


def test_loop_blaat_m3(library: ctypes.CDLL) -> None:
    assert _iteration(library, "STM32F207", 0x2000_0000, frozenset()) == 4


def test_m4_art_stream(library: ctypes.CDLL) -> None:
    """Straight-line code beyond the 64 lines runs at one 16-byte line per six cycles."""
    system = memory_system(load_chip("STM32F446"))
    assert system.wait_states == 5
    slope = (
        _straight(Simulator(library, system), 200) - _straight(Simulator(library, system), 100)
    ) / 100
    assert slope == pytest.approx(6, rel=0.05)


def test_m4_art_fit(library: ctypes.CDLL) -> None:
    """The second pass over code that fits the lines costs what it costs at zero wait states."""
    simulator = Simulator(library, memory_system(load_chip("STM32F446")))
    first = _straight(simulator, 60)
    assert _straight(simulator, 60) - first == 60 * 4
    assert first > 60 * 4


def test_rp2040_xip_cold_word(library: ctypes.CDLL) -> None:
    simulator = Simulator(library, memory_system(load_chip("RP2040")))
    simulator.block(0x2000_0000, 2, 2, chained=[False])
    before = simulator.now()
    simulator.access(0x1000_0000, 4)
    assert 40 <= simulator.now() - before <= 52
    before = simulator.now()
    simulator.access(0x1000_0000, 4)
    assert simulator.now() == before


def test_m0p_ldr_sio(library: ctypes.CDLL) -> None:
    """A load from the single-cycle IO block takes one cycle less than the core's two."""
    simulator = Simulator(library, memory_system(load_chip("RP2040")))
    simulator.block(0x2000_0000, 4, 3, chained=[False])  # LDR; NOP
    simulator.access(0xD000_0000, 4)
    assert simulator.now() == 2


def test_rp2040_div(library: ctypes.CDLL) -> None:
    """The divider never stalls the core: whoever wrote the operands waits for eight cycles.

    Pico-sdk does with four branches to the next instruction. With single-cycle IO on either side,
    the read of the result begins in the ninth cycle after the write.
    """
    write, wait, read = b"\x41\x66", 4 * b"\xff\xe7", b"\x02\x6f"  # STR [#0x64], B, LDR [#0x70]
    core = load_core("m0plus")
    simulator = Simulator(library, memory_system(load_chip("RP2040")))
    taken = 0.0
    for code, address in ((write, 0xD000_0064), (wait, None), (read, 0xD000_0070)):
        cycles = _cycles(code, core)
        simulator.block(0x2000_0000, len(code), cycles, chained=[False] if address else [])
        if address is not None:
            simulator.access(address, 4, write=code == write)
        taken = simulator.now()
    assert taken == 1 + 8 + 1


def test_m7_unaligned_load(library: ctypes.CDLL) -> None:
    """Three cycles more for an unaligned load in the older slot."""
    chip, core = load_chip("STM32F746"), load_core("m7")
    load = b"\x51\xf8\x00\x00"  # LDR.W r0, [r1, r0]
    profile = Profile("bench", (Block(_BASE, 4, 1),), ())
    taken = []
    for address in (0x2000_0000, 0x2000_0001):
        system = memory_system(chip)
        simulator = Simulator(library, system)
        simulator.block(_BASE, 4, 1, chained=[False])
        simulator.access(address, 4)
        stalls = {"bench": stalls_of(system, simulator.totals())}
        image = CodeImage((Segment(_BASE, load),))
        taken.append(time_profiles([profile], image, core, memory=stalls).total.cycles.mid)
    assert taken[1] - taken[0] == 3


def _stream(library: ctypes.CDLL, chip: str, origin: int, words: int) -> list[float]:
    """What each of so many loads of words in a row waits, in code that needs no flash."""
    simulator = Simulator(library, memory_system(load_chip(chip)))
    waits = []
    for k in range(words):
        simulator.block(0x2000_0000, 16, 12, chained=[False])
        before = simulator.now()
        simulator.access(origin + 4 * k, 4)
        waits.append(simulator.now() - before)
    return waits


def test_weights_in_flash_wait_once_per_read_of_the_array(library: ctypes.CDLL) -> None:
    """Each read of the array brings 64 or 128 bits (RM0440 3.3.4, RM0090 3.5.2), no line ahead."""
    for chip, origin, words in (
        ("STM32L4R5", 0x0800_0000, 2),
        ("STM32L4R5-single", 0x0800_0000, 4),
        ("STM32F446", 0x0800_0000, 4),
    ):
        states = memory_system(load_chip(chip)).wait_states
        assert _stream(library, chip, origin, 32) == [states, *[0] * (words - 1)] * (32 // words)


def test_weights_in_flash_without_a_data_cache(library: ctypes.CDLL) -> None:
    """No data cache on Cortex-M0+ (RM0490 4.3.3, the same interface): every load waits."""
    states = memory_system(load_chip("STM32G0B1")).wait_states
    assert _stream(library, "STM32G0B1", 0x0800_0000, 8) == [states] * 8


def test_refills_of_icache_let_the_flash_read_ahead(library: ctypes.CDLL) -> None:
    """The prefetch of STM32U5 works behind a cache of both kinds, so it serves data streams too."""
    waits = _stream(library, "STM32U575", 0x0800_0000, 16)
    states = memory_system(load_chip("STM32U575")).wait_states
    assert states is not None and waits[0] == states + 2
    assert waits[1:] == [0, 0, 0, *[2, 0, 0, 0] * 3]
    jumps = _stream(library, "STM32U575", 0x0800_0000, 1) + _stream(
        library, "STM32U575", 0x0801_0000, 1
    )
    assert jumps == [states + 2] * 2
