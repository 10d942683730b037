# SPDX-License-Identifier: MIT
"""The registry of kernels, the spelling of numbers in C, and the merging of loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen import ops
from codegen.errors import UnsupportedError
from codegen.kernels import REFERENCES, VARIANTS, select
from codegen.kernels.binary import broadcast_axes
from codegen.kernels.c_text import c_float
from codegen.kernels.data import dense_steps, merge_axes
from codegen.target import target
from simharness.testing.strategies import CASES, Case, broadcast_shapes


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_are_spelled_exactly(value: float) -> None:
    text = c_float(value)
    back = float.fromhex(text.strip("()").removesuffix("f"))
    assert np.float32(back).tobytes() == np.float32(value).tobytes()


def test_floats_that_have_no_literal() -> None:
    assert c_float(math.inf) == "__builtin_inff()"
    assert c_float(-math.inf) == "(-__builtin_inff())"
    assert "nan" in c_float(math.nan)


@given(broadcast_shapes())
def test_merged_axes_visit_the_same_elements(
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    a, b, y = shapes
    axes = broadcast_axes(a, b, y)
    assert math.prod(size for size, _, _ in axes) == math.prod(y)
    assert all(size > 1 for size, _, _ in axes)
    for which, shape in ((1, a), (2, b)):
        offsets = np.zeros(1, int)
        for axis in axes:
            offsets = (offsets[:, None] + np.arange(axis[0]) * axis[which]).ravel()
        numbered = np.arange(math.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(offsets, np.broadcast_to(numbered, y).ravel())


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple), st.randoms())
def test_merged_steps_visit_the_same_elements(shape: tuple[int, ...], random: object) -> None:
    perm = list(range(len(shape)))
    random.shuffle(perm)  # type: ignore[attr-defined]
    steps = dense_steps(shape)
    sizes, merged = merge_axes([shape[i] for i in perm], [steps[i] for i in perm])
    offsets = np.zeros(1, int)
    for size, step in zip(sizes, merged, strict=True):
        offsets = (offsets[:, None] + np.arange(size) * step).ravel()
    numbered = np.arange(math.prod(shape)).reshape(shape).transpose(perm)
    np.testing.assert_array_equal(offsets, numbered.ravel())


def test_references_stand_last_and_alone_on_request() -> None:
    assert VARIANTS[-len(REFERENCES) :] == REFERENCES
    only = target("m4", reference_kernels=True)

    @given(st.one_of(*CASES.values()))
    def check(case: Case) -> None:
        assert select(case.node, case.graph, only) in REFERENCES

    check()


@pytest.mark.parametrize("core", ["m0plus", "m3", "m4", "m7", "m33"])
def test_every_operator_has_a_kernel_on_every_core(core: str) -> None:
    goal = target(core)  # type: ignore[arg-type]

    @given(st.one_of(*CASES.values()))
    def check(case: Case) -> None:
        variant = select(case.node, case.graph, goal)
        assert variant.scratch_bytes(case.node, case.graph, goal) >= 0
        assert variant.emit(case.node, case.graph, goal) is not None

    check()


def test_what_no_kernel_takes_is_named() -> None:
    @given(CASES["nn_copy"])
    def check(case: Case) -> None:
        node = replace(case.node, op=ops.View())
        with pytest.raises(UnsupportedError, match="View"):
            select(node, case.graph, target("m4"))

    check()


def test_the_same_node_gives_the_same_c() -> None:
    @given(st.one_of(*CASES.values()))
    def check(case: Case) -> None:
        goal = target("m0plus", reference_kernels=True)
        first, second = (
            select(case.node, case.graph, goal).emit(case.node, case.graph, goal) for _ in "12"
        )
        assert first.body == second.body and first.headers == second.headers
        assert [c.suffix for c in first.constants] == [c.suffix for c in second.constants]

    check()
