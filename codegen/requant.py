# SPDX-License-Identifier: MIT
"""Fast integer recipes for requantization, each proven to equal the float map to the bit.

The float map of a channel is `acc -> clamp(rint(f32(acc) * multiplier) + out_zp, lo, hi)`: a
monotone step function of at most 255 steps. So is an affine map `(acc * M + C) >> N`; the two are
equal on a range if they agree at its ends, at each step and just before it, and that is checked at
build time, not believed. C code evaluates the affine map in one of these ways (arrays are per
channel and int32 unless said otherwise, `>>` is arithmetic):

`LongMultiply`, for cores with SMLAL (m3, m4, m7, m33); `offset` is int64:

    int64_t v = (int64_t)acc * multiplier[c] + offset[c];        /* SMLAL                    */
    q = clamp((int32_t)(v >> 32) >> shift, lo, hi);              /* SSAT q, #8, v, ASR shift */

`SplitMultiply`, for m0plus: two MULS, clamping first, so that q is in [lo, hi] by itself:

    int32_t d = clamp(acc - centre[c], -limit[c], limit[c]);
    q = (((d * low[c]) >> low_shift) + d * high[c] + offset[c]) >> shift;

`ShortMultiply`, for m0plus and only in the mode "fast" (at most 1 off): one MULS:

    int32_t d = clamp(acc - centre[c], -limit[c], limit[c]);
    q = (d * multiplier[c] + offset[c]) >> shift;

`acc` includes the bias; `fold_bias` moves it into the constants, which saves loading it: the
accumulator then starts at 0 (LongMultiply) or at `-centre` (the others).
A channel that is not `proven` must take the float path. Kernels can tell from the constants that
they load anyway: there `multiplier` is 0 (LongMultiply) or `limit` is -1. When `proven.all()`, a
layer needs no float path at all. What stays unproven: some 1 to 7 % of channels, where float32's
own rounding moves a step further than the best affine map can follow; multipliers with exact ties,
such as powers of two (half to even is not affine); and multipliers of 1/2 and more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I32, Array
from codegen.ops import Requant
from codegen.target import RequantMode

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_Numbers = TypeVar("_Numbers", I32, I64, F32)

_MAX_LONG_SHIFT = 20
_MAX_FACTOR = 2**31 - 1
_SHORT_SHIFT = 22  # 2^31 / 2^22 = 512 holds every output step with room for rounding
_SLOPE_STEPS = 44  # 0.618^44 * 4e-3 is finer than a 32-bit multiplier
_NUDGES = (0, 1, -1, 2, -2, 4, -4)
_FAR = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class LongMultiply:
    """`q = clamp((acc * multiplier + offset) >> 32 >> shift, lo, hi)`."""

    multiplier: I32
    offset: I64
    shift: int
    lo: int
    hi: int
    proven: Bools


@dataclass(frozen=True, slots=True, eq=False)
class SplitMultiply:
    """`q = ((d * low >> low_shift) + d * high + offset) >> shift`, d = acc - centre, limited."""

    centre: I32
    limit: I32
    low: I32
    high: I32
    offset: I32
    low_shift: int
    shift: int
    proven: Bools


@dataclass(frozen=True, slots=True, eq=False)
class ShortMultiply:
    """`q = (d * multiplier + offset) >> shift`, d = acc - centre, limited."""

    centre: I32
    limit: I32
    multiplier: I32
    offset: I32
    shift: int
    proven: Bools


Recipe = LongMultiply | SplitMultiply | ShortMultiply


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
        product = acc.astype(np.float32) * _column(multiplier, acc)
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


def long_multiply(
    requant: Requant, acc_min: I64, acc_max: I64, mode: RequantMode = "exact"
) -> LongMultiply:
    """The recipe for cores with a long multiply; in mode "fast" at most 1 off, else exact."""
    rising = _Rising.of(requant, acc_min, acc_max)
    demands = _demands(rising, edges=False)
    exact = mode == "exact"
    slope = _best_slope(demands, rising) if exact else rising.slope
    best: LongMultiply | None = None
    for shift in _long_shifts(slope):
        if exact:
            factor, offset = _integers(demands, slope, 32 + shift)
        else:
            factor = np.rint(np.minimum(slope * 2.0 ** (32 + shift), 2.0**62)).astype(np.int64)
            offset = np.full(slope.shape, (2 * requant.out_zp + 1) << (31 + shift), np.int64)
        fits = (factor > 0) & (factor <= _MAX_FACTOR)
        recipe = LongMultiply(
            (np.where(fits, factor, 0) * rising.sign).astype(np.int32),
            offset, shift, requant.lo, requant.hi, fits,
        )  # fmt: skip
        proven = fits & prove(recipe, requant, acc_min, acc_max, 0 if exact else 1)
        if best is None or proven.sum() > best.proven.sum():
            best = replace(recipe, proven=proven)
        if proven.all():
            break
    assert best is not None
    return replace(best, multiplier=np.where(best.proven, best.multiplier, 0).astype(np.int32))


def split_multiply(requant: Requant, acc_min: I64, acc_max: I64) -> SplitMultiply:
    """The exact recipe for cores that multiply 32 x 32 -> 32 only."""
    rising, centre, limit = _centred(_Rising.of(requant, acc_min, acc_max))
    demands = _demands(rising, edges=True)
    slope = _best_slope(demands, rising)
    best: SplitMultiply | None = None
    for low_shift in sorted({max(31 - int(size).bit_length(), 1) for size in limit}):
        factor, offset = _integers(demands, slope, _SHORT_SHIFT + low_shift, low_shift)
        factor = factor * rising.sign
        fits = limit < 2 ** (31 - low_shift)
        recipe = SplitMultiply(
            centre=_int32(centre, fits),
            limit=_int32(limit, fits),
            low=_int32(factor & (2**low_shift - 1), fits),
            high=_int32(factor >> low_shift, fits),
            offset=_int32(offset >> low_shift, fits),
            low_shift=low_shift,
            shift=_SHORT_SHIFT,
            proven=fits,
        )
        proven = fits & prove(recipe, requant, acc_min, acc_max)
        if best is None or proven.sum() > best.proven.sum():
            best = replace(recipe, proven=proven)
    assert best is not None
    return replace(best, limit=np.where(best.proven, best.limit, -1).astype(np.int32))


def short_multiply(requant: Requant, acc_min: I64, acc_max: I64) -> ShortMultiply:
    """One multiplication for cores without a long one; at most 1 off."""
    rising, centre, limit = _centred(_Rising.of(requant, acc_min, acc_max))
    scale = 2.0**_SHORT_SHIFT
    flat = ((rising.steps <= rising.least[:, None]) | (rising.steps > rising.most[:, None])).all(1)
    slope = np.where(flat, 0, rising.slope)
    factor = np.rint(np.minimum(slope * scale, 2.0**62)).astype(np.int64) * rising.sign
    middle = rising.slope * rising.sign * centre + requant.out_zp
    middle = np.clip(middle, requant.lo - 0.4, requant.hi + 0.4)
    fits = limit < 2**31
    recipe = ShortMultiply(
        centre=_int32(centre, fits),
        limit=_int32(limit, fits),
        multiplier=_int32(factor, fits),
        offset=_int32(np.rint((middle + 0.5) * scale).astype(np.int64), fits),
        shift=_SHORT_SHIFT,
        proven=fits,
    )
    proven = fits & prove(recipe, requant, acc_min, acc_max, 1)
    return replace(recipe, limit=np.where(proven, recipe.limit, -1).astype(np.int32), proven=proven)


def fold_bias(recipe: Recipe, bias: I32) -> Recipe:
    """The same recipe for accumulators that leave `bias`, int32 of shape (C,), out."""
    if isinstance(recipe, LongMultiply):
        offset = recipe.offset + recipe.multiplier.astype(np.int64) * bias
        return replace(recipe, offset=offset)
    return replace(recipe, centre=(recipe.centre - bias).astype(np.int32))


def apply(recipe: Recipe, acc: I64) -> I64:
    """What the C code computes of `acc`, shape (C, ...); OverflowError where it would overflow."""
    result, fits = _evaluate(recipe, acc)
    if not fits.all():
        raise OverflowError("an intermediate result does not fit 32 bits")
    return result


def prove(
    recipe: Recipe, requant: Requant, acc_min: I64, acc_max: I64, tolerance: int = 0
) -> Bools:
    """Which channels are within `tolerance` of the float map on all of [acc_min, acc_max].

    Both maps are monotone in the same direction and no intermediate value is largest between the
    ends, so looking at the ends, at each step of the float map and just before it is enough.
    """
    rising = _Rising.of(requant, acc_min, acc_max)
    least, most = rising.least[:, None], rising.most[:, None]
    points = np.concatenate([rising.steps, rising.steps - 1, least, most], axis=1)
    points = np.clip(points, least, most) * rising.sign[:, None]
    result, fits = _evaluate(recipe, points)
    near = np.abs(result - float_map(requant, points)) <= tolerance
    legal = (result >= requant.lo) & (result <= requant.hi)
    return np.asarray((near & legal & fits).all(axis=1))


def _evaluate(recipe: Recipe, acc: I64) -> tuple[I64, Bools]:
    """The result of the C code, and where none of its intermediate values overflow."""
    if isinstance(recipe, LongMultiply):
        total = acc * _column(recipe.multiplier, acc).astype(np.int64) + _column(recipe.offset, acc)
        result = np.clip(total >> (32 + recipe.shift), recipe.lo, recipe.hi)
        return result, np.ones(acc.shape, np.bool_)
    limit = _column(recipe.limit, acc).astype(np.int64)
    distance = acc - _column(recipe.centre, acc)
    d = np.clip(distance, -limit, limit)
    if isinstance(recipe, ShortMultiply):
        parts = [d * _column(recipe.multiplier, acc)]
        total = parts[0]
    else:
        parts = [d * _column(recipe.low, acc), d * _column(recipe.high, acc)]
        parts.append((parts[0] >> recipe.low_shift) + parts[1])
        total = parts[-1]
    total = total + _column(recipe.offset, acc)
    fits = np.ones(acc.shape, np.bool_)
    for part in (distance, *parts, total):
        fits &= (part >= -(2**31)) & (part < 2**31)
    return total >> recipe.shift, fits


@dataclass(frozen=True, slots=True, eq=False)
class _Rising:
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
    def of(requant: Requant, acc_min: I64, acc_max: I64) -> _Rising:
        multiplier = np.broadcast_to(requant.multiplier, acc_min.shape)
        sign = np.where(multiplier < 0, -1, 1).astype(np.int64)
        least = np.where(sign < 0, -acc_max, acc_min)
        most = np.where(sign < 0, -acc_min, acc_max)
        steps = thresholds(replace(requant, multiplier=np.abs(multiplier)), least, most)
        slope = np.abs(multiplier).astype(np.float64)
        return _Rising(sign, slope, steps, least, most, requant.lo, requant.hi, requant.out_zp)


def _centred(rising: _Rising) -> tuple[_Rising, I64, I64]:
    """Channels around the middle of their steps, limited to them; centres (true sign), limits."""
    first = np.clip(rising.steps[:, :1] - 1, rising.least[:, None], rising.most[:, None])[:, 0]
    last = np.clip(rising.steps[:, -1:], rising.least[:, None], rising.most[:, None])[:, 0]
    centre = (first + last) >> 1
    limit = np.maximum(np.maximum(last - centre, centre - first), 1)
    moved = replace(
        rising,
        steps=rising.steps - centre[:, None],
        least=np.maximum(rising.least - centre, -limit),
        most=np.minimum(rising.most - centre, limit),
    )
    return moved, centre * rising.sign, limit


@dataclass(frozen=True, slots=True, eq=False)
class _Demands:
    """What an affine map must do: be >= `level` at `over` and < `level` at `under`, where used."""

    level: I64
    over: I64
    under: I64
    over_used: Bools
    under_used: Bools


def _demands(rising: _Rising, *, edges: bool) -> _Demands:
    """The demands of all steps; with `edges` also those of staying within [lo, hi]."""
    least, most = rising.least[:, None], rising.most[:, None]
    level = np.arange(rising.lo + 1, rising.hi + 1, dtype=np.int64)
    steps = rising.steps
    if edges:
        level = np.concatenate([[rising.lo], level, [rising.hi + 1]])
        steps = np.concatenate([least, steps, most + 1], axis=1)
    return _Demands(
        level, np.maximum(steps, least), np.minimum(steps - 1, most), steps <= most, steps > least
    )


def _best_slope(demands: _Demands, rising: _Rising) -> F64:
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


def _integers(demands: _Demands, slope: F64, shift: int, grain: int = 0) -> tuple[I64, I64]:
    """Integers M > 0 and C with `(at * M + C) >> shift` as demanded, where they are found.

    C is a multiple of 2^grain. Given M, the interval of C that meets all demands is exact; a few
    neighbours of the best slope are tried.
    """
    # Beyond 62 bits nothing is provable, and the cast must stay defined.
    base = np.rint(np.minimum(slope * 2.0**shift, 2.0**62)).astype(np.int64)
    factor, offset = np.maximum(base, 1), np.zeros(base.shape, np.int64)
    open_rows = np.arange(base.size)
    target = demands.level << np.int64(shift)
    for nudge in _NUDGES:
        trial = np.maximum(base[open_rows] + nudge, 1)[:, None]
        lower = target - demands.over[open_rows] * trial
        upper = target - 1 - demands.under[open_rows] * trial
        least = np.where(demands.over_used[open_rows], lower, -_FAR).max(axis=1)
        most = np.where(demands.under_used[open_rows], upper, _FAR).min(axis=1)
        least = -((-least) >> grain)
        most = most >> grain
        middle = np.where(
            least == -_FAR >> grain,
            most,
            np.where(most == _FAR >> grain, least, (least + most) >> 1),
        )
        found = least <= most
        rows = open_rows[found]
        factor[rows], offset[rows] = trial[found, 0], middle[found] << grain
        open_rows = open_rows[~found]
        if not open_rows.size:
            break
    return factor, offset


def _long_shifts(slope: F64) -> list[int]:
    """Shifts worth a try: that of the largest multiplier first, then more precise ones."""
    rooms = np.floor(-1 - np.log2(np.maximum(slope, 2.0**-40) * (1 + 1e-6)))
    shifts = np.clip(rooms, 0, _MAX_LONG_SHIFT).astype(int)
    return sorted({int(shift) for shift in shifts})


def _int32(values: I64, fits: Bools) -> I32:
    """int32 of values that fit; 0 where the channel is given up or the value is too large."""
    good = fits & (np.abs(values) < 2**31)
    return np.where(good, values, 0).astype(np.int32)


def _column(values: _Numbers, like: Array) -> _Numbers:
    """Per-channel values as a column that broadcasts against `like` of shape (C, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
