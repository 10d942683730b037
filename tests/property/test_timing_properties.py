# SPDX-License-Identifier: MIT
"""What must hold for the time of any code: additivity, monotony, bounds, repeatability."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cycle_models.core import core_names, load_core
from cycle_models.profile import Block, CodeImage, Profile, Segment
from cycle_models.timing import ProfileTiming, time_profiles

_BASE = 0x2000_0000
# 16-bit encodings that every core has: moves, arithmetic, shifts, multiply, loads, stores, NOP.
_HALFWORDS = st.sampled_from(
    [0x2001, 0x1840, 0x3102, 0x0049, 0x4348, 0x6808, 0x684A, 0x6008, 0x604A, 0x7808, 0x7008, 0xBF00,
     0xB4F0, 0xBCF0, 0xC90C, 0xC10C, 0xB2C8]
)  # fmt: skip
_CODE = st.lists(_HALFWORDS, min_size=1, max_size=24)
_CORES = st.sampled_from(core_names())


def _time(core: str, halfwords: list[int], count: int = 1) -> ProfileTiming:
    data = b"".join(h.to_bytes(2, "little") for h in halfwords)
    profile = Profile("p", (Block(_BASE, len(data), count),), ())
    return time_profiles([profile], CodeImage((Segment(_BASE, data),)), load_core(core)).total


@given(core=_CORES, code=_CODE, count=st.integers(1, 1000))
def test_cost_is_proportional_to_the_count(core: str, code: list[int], count: int) -> None:
    one, many = _time(core, code), _time(core, code, count)
    assert abs(many.cycles.mid - count * one.cycles.mid) < 1e-6 * max(1.0, many.cycles.mid)


@given(core=_CORES, code=_CODE, more=_CODE)
def test_more_code_never_takes_less_time(core: str, code: list[int], more: list[int]) -> None:
    assert _time(core, code + more).cycles.mid >= _time(core, code).cycles.mid


@given(core=_CORES, code=_CODE)
def test_bounds_by_issue_width(core: str, code: list[int]) -> None:
    timed = _time(core, code)
    width = load_core(core).figures.get("issue_width", 1)
    slots = 2 if core in ("m33", "m7") else width
    assert timed.cycles.mid >= len(code) / slots
    assert timed.cycles.mid <= 16 * len(code)
    assert timed.cycles.low <= timed.cycles.mid <= timed.cycles.high


@given(core=_CORES, code=_CODE)
def test_the_same_question_has_the_same_answer(core: str, code: list[int]) -> None:
    assert _time(core, code) == _time(core, code)
