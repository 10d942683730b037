# SPDX-License-Identifier: MIT
"""Decoding and timing of small pieces of machine code, by hand."""

from __future__ import annotations

import pytest

from cycle_models.chip import load_chip
from cycle_models.core import core_names, load_core
from cycle_models.decode import Decoder, Instruction
from cycle_models.errors import MachineError
from cycle_models.memory import FINE, memory_system, wait_states
from cycle_models.profile import Block, CodeImage, Edge, Profile, Segment
from cycle_models.timing import Interval, MemoryStalls, Timing, time_profiles

_BASE = 0x0800_0000


def _code(*halfwords: int) -> CodeImage:
    data = b"".join(h.to_bytes(2, "little") for h in halfwords)
    return CodeImage((Segment(_BASE, data),))


def _one(*halfwords: int) -> Instruction:
    return Decoder(_code(*halfwords)).block(_BASE, 2 * len(halfwords))[0]


_LDR_POST = (0xF851, 0x0B04)  # ldr.w r0, [r1], #4
_SMLAD = (0xFB21, 0x3002)  # smlad r0, r1, r2, r3
_ADD_LSL = (0xEB01, 0x00C2)  # add.w r0, r1, r2, lsl #3
_POP_PC = 0xBD10  # pop {r4, pc}
_SUBS = 0x3801  # subs r0, #1
_BNE_BACK = 0xD1FD  # bne to the halfword before
_NOP = 0xBF00
_VLDMIA = (0xECB0, 0x0A04)  # vldmia r0!, {s0-s3}


def test_decode_finds_roles() -> None:
    load = _one(*_LDR_POST)
    assert (load.kind, load.base, load.writeback, load.access_bytes) == ("load", "r1", True, 4)
    assert load.writes == {"r0", "r1"} and load.address == {"r1"}
    mac = _one(*_SMLAD)
    assert mac.kind == "accumulate" and mac.accumulator == {"r3"}
    shifted = _one(*_ADD_LSL)
    assert shifted.shifted_operand and shifted.early == {"r2"}
    pop = _one(_POP_PC)
    assert pop.writes_pc and pop.transfers == 2 and "pc" not in pop.writes
    vldm = _one(*_VLDMIA)
    assert vldm.fp and vldm.transfers == 4 and vldm.writes == {"s0", "s1", "s2", "s3", "r0"}


def test_unknown_encodings_keep_their_length() -> None:
    block = Decoder(_code(0xDEFF, _NOP)).block(_BASE, 4)
    assert sum(i.size for i in block) == 4


def _loop(core: str, times: int = 10) -> Timing:
    code = _code(_SUBS, _BNE_BACK, _NOP)
    blocks = (Block(_BASE, 4, times), Block(_BASE + 4, 2, 1))
    edges = (Edge(_BASE, _BASE, times - 1), Edge(_BASE, _BASE + 4, 1))
    return time_profiles([Profile("loop", blocks, edges)], code, load_core(core))


@pytest.mark.parametrize(
    ("core", "per_iteration"), [("m0plus", 3), ("m3", 3), ("m4", 3), ("m33", 3)]
)
def test_a_loop_costs_its_instructions_and_the_refill(core: str, per_iteration: int) -> None:
    ten, twenty = _loop(core, 10).total, _loop(core, 20).total
    assert twenty.cycles.mid - ten.cycles.mid == 10 * per_iteration
    assert twenty.instructions == 41


@pytest.mark.parametrize("core", core_names())
def test_breakdown_and_charges_add_up(core: str) -> None:
    total = _loop(core).total
    assert sum(total.breakdown.values()) == pytest.approx(total.cycles.mid)
    assert sum(c.cycles for c in total.charges) == pytest.approx(total.cycles.mid)
    assert total.cycles.low <= total.cycles.mid <= total.cycles.high
    assert 0 <= total.assumed_share <= 1
    assert sum(total.mix.values()) == total.instructions


def test_a_fall_through_is_no_branch() -> None:
    """A block that an emulator split at a page costs what the whole block costs."""
    code = _code(*[_NOP] * 8)
    core = load_core("m4")
    whole = Profile("whole", (Block(_BASE, 16, 3),), ())
    split = Profile(
        "split", (Block(_BASE, 6, 3), Block(_BASE + 6, 10, 3)), (Edge(_BASE, _BASE + 6, 3),)
    )
    a, b = time_profiles([whole, split], code, core).profiles
    assert a.cycles == b.cycles


def test_two_blocks_at_one_address_are_told_apart() -> None:
    """An emulator may enter the same address with blocks of different length."""
    code = _code(_NOP, _SUBS, _BNE_BACK, _NOP)
    blocks = (Block(_BASE, 2, 1), Block(_BASE, 6, 4), Block(_BASE + 2, 4, 1))
    edges = (Edge(_BASE, _BASE + 2, 1),)
    total = time_profiles([Profile("p", blocks, edges)], code, load_core("m4")).total
    assert total.instructions == 1 + 4 * 3 + 2


def test_memory_stalls_are_added_and_named() -> None:
    code = _code(_NOP)
    profile = Profile("a", (Block(_BASE, 2, 1),), ())
    three = Interval(2.0, 3.0, 4.0)
    zero = Interval(0.0, 0.0, 0.0)
    stalls = {"a": MemoryStalls(fetch=three, data=zero, external=zero, assumed_share=1.0)}
    core = load_core("m4")
    plain = time_profiles([profile], code, core)
    timed = time_profiles([profile], code, core, memory=stalls)
    assert (plain.mode, timed.mode) == ("zero-wait", "memory")
    assert timed.total.cycles.mid == plain.total.cycles.mid + 3
    assert timed.total.breakdown["fetch_stalls"] == 3
    assert timed.total.assumed_share == pytest.approx(0.75)


def test_wait_states_follow_the_clock() -> None:
    chip = load_chip("STM32F446")
    assert [wait_states(chip, f) for f in (16_000_000, 30_000_000, 30_000_001, 180_000_000)] == [
        0,
        0,
        1,
        5,
    ]
    with pytest.raises(MachineError, match="no wait states for 200000000 Hz"):
        wait_states(chip, 200_000_000)
    assert memory_system(chip, clock_hz=30_000_000).config.stores[0].first == 0
    assert memory_system(chip).config.stores[0].first == 5 * FINE
