# SPDX-License-Identifier: MIT
"""The multiply-and-shift recipe is the float map, value by value, wherever it says it is proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codegen.ops import Requant
from codegen.requant import float_map
from codegen.requant_high import HighMultiply, evaluate, high_multiply


def sums_of(
    recipe: HighMultiply, acc: np.ndarray, bias: np.ndarray, residue: np.ndarray
) -> np.ndarray:  # type: ignore[type-arg]
    return 256 * (acc - bias[:, None]) + (residue + recipe.start)[:, None]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(-128, 127),
    st.sampled_from([(-128, 127), (-3, 90), (5, 5)]),
)
def test_proven_channels_agree_on_the_whole_range(
    seed: int, out_zp: int, clamp: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    channels, reach = 12, int(rng.integers(2, 30000))
    scale = 10.0 ** rng.uniform(-4, -1.5, channels) * rng.choice([-1, 1, 1, 1], channels)
    scale[0] = 0.5 ** int(rng.integers(2, 12))  # ties on both sides
    requant = Requant(scale.astype(np.float32), 0, out_zp, *clamp)
    bias = rng.integers(-1000, 1000, channels)
    residue = rng.integers(-30000, 30000, channels)
    least, most = np.full(channels, -reach), np.full(channels, reach)
    recipe = high_multiply(requant, least, most, bias, 256, residue)
    acc = np.broadcast_to(np.arange(-reach, reach + 1), (channels, 2 * reach + 1))
    same = evaluate(recipe, sums_of(recipe, acc, bias, residue)) == float_map(requant, acc)
    assert same[recipe.proven].all()
    fast = high_multiply(requant, least, most, bias, 256, residue, "fast")
    off = np.abs(evaluate(fast, sums_of(fast, acc, bias, residue)) - float_map(requant, acc))
    assert fast.proven.all()
    assert off.max() <= 1
    assert off[recipe.proven].max(initial=0) == 0


def test_most_channels_are_proven_and_constant_ones_too() -> None:
    rng = np.random.default_rng(1)
    channels = 400
    requant = Requant(rng.uniform(1e-4, 5e-3, channels).astype(np.float32), -128, -20)
    least, most = np.full(channels, -90000), np.full(channels, 90000)
    least[:5] = most[:5] = 77
    recipe = high_multiply(requant, least, most, np.zeros(channels, np.int64), 256)
    assert recipe.proven[:5].all()
    assert recipe.proven.mean() > 0.9


def test_a_wrong_recipe_is_seen() -> None:
    requant = Requant(np.full(1, 0.0123, np.float32), 0, 3)
    zero = np.zeros(1, np.int64)
    recipe = high_multiply(requant, zero - 20000, zero + 20000, zero, 256)
    assert recipe.proven.all()
    acc = np.arange(-20000, 20001)[None, :]
    wrong = replace(recipe, multiplier=recipe.multiplier + 2**17)
    assert (evaluate(recipe, sums_of(recipe, acc, zero, zero)) == float_map(requant, acc)).all()
    assert (evaluate(wrong, sums_of(wrong, acc, zero, zero)) != float_map(requant, acc)).any()
