# SPDX-License-Identifier: MIT
"""Counting is exact on programs of any shape, whoever counts: callback, Python, or each step."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from unicorn import UC_HOOK_CODE

from cycle_models.profile import Profile
from simharness.engines.decode import instructions
from simharness.engines.unicorn_count import RUN, NativeCounter, profiles
from simharness.engines.unicorn_cpu import Cpu
from simharness.image import Image
from simharness.toolchain import build

BUDGET = 5_000_000

# Statements over a, b (uint32_t), the table t[16] and the loop depth; all terminate.
LEAVES = st.sampled_from([
    "a = a * 31u + b;", "b ^= a >> 3;", "a += t[b & 15u];", "t[a & 15u] = b;", "b = leaf(a, b);",
    "if (a > b) a -= b;", "b = a & 1u ? b + 7u : b * 3u;", "a = a / (b | 1u);", "many(&a, &b);",
])  # fmt: skip


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, min_size=1, max_size=4).map(" ".join)
    return st.one_of(
        block,
        st.tuples(st.integers(0, 9), block).map(
            lambda p: f"for (uint32_t i = 0; i < {p[0]}u; i++) {{ {p[1]} a += i; }}"
        ),
        st.tuples(block, block).map(lambda p: f"if (a & 4u) {{ {p[0]} }} else {{ {p[1]} }}"),
        block.map(
            lambda p: (
                f"switch (b & 7u) {{ case 0: {p} break; case 1: a++; break; case 2: b++;"
                " break; case 3: a ^= b; break; case 5: b ^= a; break; default: a -= 3u; }"
            )
        ),
    )


BODIES = st.recursive(LEAVES, _grow, max_leaves=12)


def program(first: str, second: str) -> str:
    return f"""
        #include <stdint.h>
        static uint32_t t[16];
        #define N __attribute__((noinline, noclone))
        #ifdef __clang__
        #undef N
        #define N __attribute__((noinline))
        #endif
        static N uint32_t leaf(uint32_t a, uint32_t b) {{ return a & 8u ? a + b : a - (b >> 1); }}
        static N void many(uint32_t *a, uint32_t *b) {{
          switch (*a % 11u) {{
            case 0: *b += 1u; break; case 1: *b *= 5u; break; case 2: *a ^= *b; break;
            case 3: *b ^= 77u; break; case 4: *a += 9u; break; case 6: *a = leaf(*b, *a); break;
            case 7: *b = leaf(*a, 3u); break; default: *a += 1u;
          }}
        }}
        N uint32_t layer0(uint32_t a, uint32_t b) {{ {first} return a ^ b; }}
        N uint32_t layer1(uint32_t a, uint32_t b) {{ {second} return a + b; }}
        uint32_t go(uint32_t a, uint32_t b) {{
          uint32_t x = 0;
          for (uint32_t i = 0; i < 3; i++) {{ x ^= layer0(a, b + i); x += layer1(x, b); }}
          return x;
        }}
    """


def count(
    image: Image, *, pure_python: bool, slice_instructions: int = 0, check_alignment: bool = False
) -> tuple[tuple[Profile, ...], int, Counter[int]]:
    """Profiles of `go`, its result, and (in Python) how often each address was executed."""
    cpu = Cpu(image, pure_python=pure_python, check_alignment=check_alignment)
    seen: Counter[int] = Counter()
    if pure_python:
        cpu.uc.hook_add(UC_HOOK_CODE, lambda _uc, address, _size, _user: seen.update((address,)))
    cpu.boot()
    if slice_instructions and isinstance(cpu.counter, NativeCounter):
        cpu.counter.slice = slice_instructions
    seen.clear()
    for register, value in ((66, 12345), (67, 678)):
        cpu.uc.reg_write(register, value)
    cpu.counter.start(BUDGET)
    cpu.call(image.symbols["go"].address, BUDGET)
    result = cpu.uc.reg_read(66)
    return profiles(cpu.counter.finish(), (RUN, *image.layers)), result, seen


@settings(max_examples=25)
@given(BODIES, BODIES, st.sampled_from(["m0plus", "m4", "m7"]))
def test_all_counters_agree(first: str, second: str, core: str) -> None:
    image = build(
        {"k.c": program(first, second)}, core, keep_all=True, optimize="speed",
        layers=("layer0", "layer1"),
    ).image  # fmt: skip
    fast, result, _ = count(image, pure_python=False)
    slow, same_result, seen = count(image, pure_python=True)

    assert result == same_result
    assert fast == slow
    blocks: Counter[int] = Counter()
    for profile in fast:
        for block in profile.blocks:
            code = image.code.read(block.address, block.size_bytes)
            at = 0
            while at < block.size_bytes:
                blocks[block.address + at] += block.count
                at += 4 if instructions(code[at : at + 4]) == 1 else 2
    # A hook on instructions leaves out those that an IT block skips; blocks include them.
    assert seen.keys() <= blocks.keys()
    skippable = _in_it_blocks(image, blocks)
    for address, n in blocks.items():
        assert seen[address] == n or (address in skippable and seen[address] <= n)


@settings(max_examples=25)
@given(BODIES, BODIES, st.integers(1, 300), st.sampled_from(["m0plus", "m4", "m33"]))
def test_a_run_in_slices_is_the_run_at_once(
    first: str, second: str, slice_instructions: int, core: str
) -> None:
    """Pausing (to hear Ctrl-C) changes neither results nor counts, nor does watching alignment."""
    image = build(
        {"k.c": program(first, second)}, core, keep_all=True, optimize="speed",
        layers=("layer0", "layer1"),
    ).image  # fmt: skip

    whole = count(image, pure_python=False)
    sliced = count(image, pure_python=False, slice_instructions=slice_instructions)
    watched = count(image, pure_python=False, check_alignment=True)
    assert sliced == whole
    assert watched == whole


def _in_it_blocks(image: Image, addresses: Counter[int]) -> set[int]:
    """Addresses under an IT instruction."""
    found: set[int] = set()
    for address in addresses:
        half = int.from_bytes(image.code.read(address, 2), "little")
        if half & 0xFF00 == 0xBF00 and half & 15:
            length = 4 - ((half & -half).bit_length() - 1)
            at = address + 2
            for _ in range(length):
                found.add(at)
                at += 4 if image.code.read(at, 2)[1] >> 3 >= 0x1D else 2
    return found


@settings(max_examples=25)
@given(BODIES, BODIES)
def test_edges_conserve_flow(first: str, second: str) -> None:
    """Every block is entered and left as often as it runs, but for the first and the last."""
    image = build(
        {"k.c": program(first, second)}, "m4", keep_all=True, optimize="speed",
        layers=("layer0", "layer1"),
    ).image  # fmt: skip
    parts, _, _ = count(image, pure_python=False)
    ran: Counter[int] = Counter()
    flow: dict[str, Counter[int]] = {"in": Counter(), "out": Counter()}
    for profile in parts:
        for block in profile.blocks:
            ran[block.address] += block.count
        for edge in profile.edges:
            flow["out"][edge.source] += edge.count
            flow["in"][edge.target] += edge.count

    for counts in flow.values():
        missing = ran - counts
        assert sum(missing.values()) == 1
        assert not counts - ran
    calls = {p.name: sum(b.count for b in p.blocks) for p in parts}
    assert all(n >= 3 for n in calls.values())
    assert np.array_equal(sorted(calls), sorted(["(run)", "layer0", "layer1"]))
