# SPDX-License-Identifier: MIT
"""Requantization recipes: proven means equal on the whole range, and the proof can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.ops import Requant
from codegen.requant import I64, Bools, float_map, reachable_range, thresholds
from codegen.requant_split import SplitMultiply, apply, prove, split_multiply

seeds = st.integers(0, 2**32 - 1)


def layer(seed: int, span: int, channels: int = 12) -> tuple[Requant, I64, I64]:
    """A random layer whose accumulators span about `span`: multipliers of both signs, clamps."""
    rng = np.random.default_rng(seed)
    acc_min = rng.integers(-span, span // 4, channels)
    acc_max = acc_min + rng.integers(1, span, channels)
    multiplier = (rng.uniform(0.3, 3, channels) * 256 / span).astype(np.float32)
    multiplier *= rng.choice([1, 1, 1, -1, 1e-3], channels).astype(np.float32)
    lo, hi = sorted(rng.choice(np.arange(-128, 128), 2, replace=False))
    full = bool(rng.integers(0, 2))
    limits = (-128, 127) if full else (int(lo), int(hi))
    return Requant(multiplier, 0, int(rng.integers(-128, 128)), *limits), acc_min, acc_max


def everywhere(acc_min: I64, acc_max: I64) -> I64:
    """Every accumulator of every channel; shorter ranges repeat their end."""
    width = int((acc_max - acc_min).max()) + 1
    return np.asarray(np.minimum(acc_min[:, None] + np.arange(width), acc_max[:, None]))


def agree(recipe: SplitMultiply, requant: Requant, acc: I64) -> Bools:
    return np.asarray((apply(recipe, acc) == float_map(requant, acc)).all(axis=1))


@given(seeds)
def test_thresholds_are_where_the_float_map_steps(seed: int) -> None:
    requant, acc_min, acc_max = layer(seed, 3000)
    requant = replace(requant, multiplier=np.abs(requant.multiplier))
    acc = everywhere(acc_min, acc_max)
    q = float_map(requant, acc)
    found = thresholds(requant, acc_min, acc_max)
    for index, level in enumerate(range(requant.lo + 1, requant.hi + 1)):
        reached = np.where((q >= level).any(axis=1), (q >= level).argmax(axis=1), 0)
        expected = np.where((q >= level).any(axis=1), acc_min + reached, acc_max + 1)
        np.testing.assert_array_equal(found[:, index], expected)


@given(seeds, st.sampled_from([2000, 6000]))
def test_proven_channels_are_exact_on_the_whole_range(seed: int, span: int) -> None:
    requant, acc_min, acc_max = layer(seed, span)
    acc = everywhere(acc_min, acc_max)
    recipe = split_multiply(requant, acc_min, acc_max)
    assert agree(recipe, requant, acc)[recipe.proven].all()
    assert recipe.proven.mean() >= 0.75  # wide steps leave ample room


@given(seeds, st.sampled_from([2**17, 2**20, 2**24, 2**29]))
def test_proven_channels_are_exact_on_wide_ranges(seed: int, span: int) -> None:
    requant, acc_min, acc_max = layer(seed, span)
    rng = np.random.default_rng(seed)
    acc = rng.integers(acc_min[:, None], acc_max[:, None], (acc_min.size, 2000), endpoint=True)
    recipe = split_multiply(requant, acc_min, acc_max)
    rows = recipe.proven
    if rows.any():
        good = select(recipe, rows)
        kept = replace(requant, multiplier=requant.multiplier[rows])
        assert agree(good, kept, acc[rows]).all()


@given(seeds, st.sampled_from([2000, 6000]))
def test_the_proof_gives_the_verdict_of_exhaustive_comparison(seed: int, span: int) -> None:
    requant, acc_min, acc_max = layer(seed, span)
    rng = np.random.default_rng(seed)
    acc = everywhere(acc_min, acc_max)
    split = split_multiply(requant, acc_min, acc_max)
    shaken_split = replace(
        split,
        limit=np.maximum(split.limit, 1),
        offset=(split.offset + rng.integers(-20000, 20000, split.offset.size)).astype(np.int32),
    )
    verdict = prove(shaken_split, requant, acc_min, acc_max)
    np.testing.assert_array_equal(verdict, agree(shaken_split, requant, acc))


def test_recipes_broken_by_one_level_are_caught() -> None:
    requant = Requant(np.full(4, 0.00397, np.float32), 0, -5)
    acc_min, acc_max = np.full(4, -60000), np.full(4, 60000)
    split = split_multiply(requant, acc_min, acc_max)
    assert split.proven.all()
    assert not prove(replace(split, low=split.low * 0), requant, acc_min, acc_max).any()
    tight = replace(split, limit=(split.limit // 2).astype(np.int32))
    assert not prove(tight, requant, acc_min, acc_max).any()


@given(seeds, st.sampled_from([2000, 6000]))
def test_the_fast_mode_is_at_most_one_off(seed: int, span: int) -> None:
    requant, acc_min, acc_max = layer(seed, span)
    acc = everywhere(acc_min, acc_max)
    exact = split_multiply(requant, acc_min, acc_max)
    recipe = split_multiply(requant, acc_min, acc_max, "fast")
    difference = np.abs(apply(recipe, acc) - float_map(requant, acc)).max(axis=1)
    assert (difference <= 1).all()
    assert recipe.proven.all()
    assert (difference[exact.proven] == 0).all()


def test_overflow_is_an_error_not_a_wrong_answer() -> None:
    requant = Requant(np.full(1, 0.004, np.float32), 0, 0)
    split = split_multiply(requant, np.array([-60000]), np.array([60000]))
    with pytest.raises(OverflowError):
        apply(replace(split, limit=np.full(1, 2**30, np.int32)), np.array([[2**30]]))


@given(seeds)
def test_the_reachable_range_is_reached_and_never_left(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.integers(-128, 128, (5, 3, 2), dtype=np.int8)
    w_zp = rng.integers(-128, 128, 5).astype(np.int32)
    b = rng.integers(-1000, 1000, 5).astype(np.int32)
    in_zp = int(rng.integers(-128, 128))
    acc_min, acc_max = reachable_range(w, w_zp, b, in_zp)
    weights = (w - w_zp[:, None, None]).reshape(5, 6).astype(np.int64)
    for channel, row in enumerate(weights):
        greedy = np.where(row > 0, 127, -128)
        lazy = np.where(row > 0, -128, 127)
        assert (greedy - in_zp) @ row + b[channel] == acc_max[channel]
        assert (lazy - in_zp) @ row + b[channel] == acc_min[channel]


def select(recipe: SplitMultiply, rows: Bools) -> SplitMultiply:
    """The recipe of some channels only."""
    names = ("centre", "limit", "low", "high", "offset", "proven")
    return replace(recipe, **{name: getattr(recipe, name)[rows] for name in names})


def test_multipliers_beyond_all_reason_are_refused_quietly() -> None:
    """A multiplier whose fixed-point form leaves 64 bits is unproven, with no undefined cast."""
    ends = np.array([-11392], np.int64), np.array([11303], np.int64)
    for multiplier in (8192.0, 1e6, -(2.0**30)):
        extreme = Requant(np.array([multiplier], np.float32), 0, 0)

        assert not split_multiply(extreme, *ends).proven.any()
