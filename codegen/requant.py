# SPDX-License-Identifier: MIT
"""What requantization does, and what an integer form of it must meet to be the same.

The float map of a channel is `acc -> clamp(rint(f32(acc) * multiplier) + out_zp, lo, hi)`: a
monotone step function of at most 255 steps. So is an affine map `(acc * M + C) >> N`; the two are
equal on a range if they agree at its ends, at each step and just before it, and that is checked at
build time, not believed: `codegen.requant_high` for cores with the DSP extension,
`codegen.requant_split` for those without.

Some 1 to 7 % of channels have no such map: where float32's own rounding moves a step further than
the best affine map can follow; multipliers with exact ties, such as powers of two (half to even is
not affine); and multipliers of 1/2 and more. In the mode "exact" these take a float path; in
"fast" the nearest affine map that is at most 1 off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I32, Array
from codegen.ops import Requant

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_Numbers = TypeVar("_Numbers", I32, I64, F32)

_SLOPE_STEPS = 44  # 0.618^44 * 4e-3 is finer than a 32-bit multiplier


def reachable_range(
    w: Array, w_zp: Array | None, b: Array | None, in_zp: int, in_lo: int = -128, in_hi: int = 127
) -> tuple[I64, I64]:
    """The least and the greatest accumulator of each output channel, over all inputs in a range.

    `w` is int8 of shape (C, ...), `w_zp` (C,) or None, `b` int32 (C,) or None; returns two of (C,).
    Padding contributes x = in_zp, so the input range is widened to hold `in_zp`.
    """
    weights = w.reshape(w.shape[0], -1).astype(np.int64)
    if w_zp is not None:
        weights = weights - w_zp.reshape(-1, 1).astype(np.int64)
    bias = np.zeros(w.shape[0], np.int64) if b is None else b.reshape(-1).astype(np.int64)
    least, greatest = min(in_lo - in_zp, 0), max(in_hi - in_zp, 0)
    positive = np.maximum(weights, 0).sum(axis=1)
    negative = np.minimum(weights, 0).sum(axis=1)
    acc_min = bias + positive * least + negative * greatest
    return acc_min, bias + positive * greatest + negative * least


def float_map(requant: Requant, acc: I64) -> I64:
    """The true map, for `acc` of shape (C, ...): one float32 product, half to even, clamp."""
    multiplier = np.broadcast_to(requant.multiplier, acc.shape[:1])
    with np.errstate(over="ignore"):
        product = acc.astype(np.float32) * column(multiplier, acc)
    rounded = np.clip(np.rint(product), -1024, 1024).astype(np.int64)
    return np.asarray(np.clip(rounded + requant.out_zp, requant.lo, requant.hi))


def thresholds(requant: Requant, acc_min: I64, acc_max: I64) -> I64:
    """The least accumulator that reaches each output level lo+1..hi: shape (C, hi - lo), exact.

    `acc_min` means that the whole range reaches the level, `acc_max + 1` that none of it does.
    Multipliers must not be negative.
    """
    level = np.arange(requant.lo + 1, requant.hi + 1)
    multiplier = np.broadcast_to(requant.multiplier, acc_min.shape).astype(np.float64)
    about = (level - requant.out_zp - 0.5) / np.maximum(multiplier, 1e-40)[:, None]
    doubt = np.ceil(np.abs(about) * 2.0**-22) + 2  # two roundings to 24 bits
    least, most = acc_min[:, None], acc_max[:, None]
    below = np.clip(about - doubt, least - 1, most).astype(np.int64)
    reached = np.clip(about + doubt, least, most + 1).astype(np.int64)
    while (unsure := reached - below > 1).any():
        middle = (below + reached) >> 1
        enough = float_map(requant, middle) >= level
        reached = np.where(unsure & enough, middle, reached)
        below = np.where(unsure & ~enough, middle, below)
    return np.asarray(reached)


@dataclass(frozen=True, slots=True, eq=False)
class Rising:
    """Channels with their accumulators negated where the multiplier is negative: all maps rise.

    `steps`, (C, hi - lo), are the thresholds of levels lo+1..hi; `least`, `most`, (C,), the range.
    """

    sign: I64
    slope: F64
    steps: I64
    least: I64
    most: I64
    lo: int
    hi: int
    out_zp: int

    @staticmethod
    def of(requant: Requant, acc_min: I64, acc_max: I64) -> Rising:
        multiplier = np.broadcast_to(requant.multiplier, acc_min.shape)
        sign = np.where(multiplier < 0, -1, 1).astype(np.int64)
        least = np.where(sign < 0, -acc_max, acc_min)
        most = np.where(sign < 0, -acc_min, acc_max)
        steps = thresholds(replace(requant, multiplier=np.abs(multiplier)), least, most)
        slope = np.abs(multiplier).astype(np.float64)
        return Rising(sign, slope, steps, least, most, requant.lo, requant.hi, requant.out_zp)

    def proof_points(self) -> I64:
        """Where a monotone map must agree with the float map to agree everywhere, true signs: the
        ends of the range, each step and just before it."""
        least, most = self.least[:, None], self.most[:, None]
        points = np.concatenate([self.steps, self.steps - 1, least, most], axis=1)
        return np.asarray(np.clip(points, least, most) * self.sign[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Demands:
    """What an affine map must do: be >= `level` at `over` and < `level` at `under`, where used."""

    level: I64
    over: I64
    under: I64
    over_used: Bools
    under_used: Bools


def demands_of(rising: Rising, *, edges: bool) -> Demands:
    """The demands of all steps; with `edges` also those of staying within [lo, hi]."""
    least, most = rising.least[:, None], rising.most[:, None]
    level = np.arange(rising.lo + 1, rising.hi + 1, dtype=np.int64)
    steps = rising.steps
    if edges:
        level = np.concatenate([[rising.lo], level, [rising.hi + 1]])
        steps = np.concatenate([least, steps, most + 1], axis=1)
    return Demands(
        level, np.maximum(steps, least), np.minimum(steps - 1, most), steps <= most, steps > least
    )


def best_slope(demands: Demands, rising: Rising) -> F64:
    """The slope that leaves the intercept most room, which is concave: golden-section search."""
    level = demands.level - rising.out_zp - 0.5

    def room(slope: F64) -> F64:
        lower = level - slope[:, None] * demands.over
        upper = level - slope[:, None] * demands.under
        least = np.where(demands.over_used, lower, -np.inf).max(axis=1)
        most = np.where(demands.under_used, upper, np.inf).min(axis=1)
        return np.asarray(most - least)

    a, b = rising.slope * (1 - 2e-3), rising.slope * (1 + 2e-3)
    golden = (5**0.5 - 1) / 2
    for _ in range(_SLOPE_STEPS):
        left, right = b - golden * (b - a), a + golden * (b - a)
        rises = room(left) < room(right)
        a, b = np.where(rises, left, a), np.where(rises, b, right)
    return np.asarray((a + b) / 2)


def column(values: _Numbers, like: Array) -> _Numbers:
    """Per-channel values as a column that broadcasts against `like` of shape (C, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
