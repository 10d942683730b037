# SPDX-License-Identifier: MIT
"""Requantization by two short multiplications, for cores that multiply 32 x 32 -> 32 only:

    int32_t d = clamp(acc - centre[c], -limit[c], limit[c]);
    q = (((d * low[c]) >> low_shift) + d * high[c] + offset[c]) >> shift;

Arrays are per channel, `>>` is arithmetic. Clamping comes first, so that q is in [lo, hi] by
itself. A channel that is not `proven` must take the float path; kernels can tell by its limit of
-1. Proofs: see `codegen.requant`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codegen.ir import I32
from codegen.ops import Requant
from codegen.requant import (
    F64,
    I64,
    Bools,
    Demands,
    Rising,
    best_slope,
    column,
    demands_of,
    float_map,
)
from codegen.target import RequantMode

_SHIFT = 22  # 2^31 / 2^22 = 512 holds every output step with room for rounding
_NUDGES = (0, 1, -1, 2, -2, 4, -4)
_FAR = 2**62


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


def split_multiply(
    requant: Requant, acc_min: I64, acc_max: I64, mode: RequantMode = "exact"
) -> SplitMultiply:
    """The recipe; in mode "fast" channels without an exact one get one that is at most 1 off."""
    rising, centre, limit = _centred(Rising.of(requant, acc_min, acc_max))
    demands = demands_of(rising, edges=True)
    slope = best_slope(demands, rising)
    best: SplitMultiply | None = None
    for low_shift in sorted({max(31 - int(size).bit_length(), 1) for size in limit}):
        factor, offset = _integers(demands, slope, _SHIFT + low_shift, low_shift)
        factor = factor * rising.sign
        fits = limit < 2 ** (31 - low_shift)
        recipe = _recipe(centre, limit, factor, offset, low_shift, fits)
        proven = fits & prove(recipe, requant, acc_min, acc_max)
        if best is None or proven.sum() > best.proven.sum():
            best = replace(recipe, proven=proven)
    assert best is not None
    if mode == "fast":
        near = _nearest(requant, rising, centre, limit, best.low_shift)
        near_proven = near.proven & prove(near, requant, acc_min, acc_max, 1)
        best = _where(best.proven, best, replace(near, proven=near_proven))
    return replace(best, limit=np.where(best.proven, best.limit, -1).astype(np.int32))


def _nearest(
    requant: Requant, rising: Rising, centre: I64, limit: I64, low_shift: int
) -> SplitMultiply:
    """The multiplier itself in fixed point, rounding halves up."""
    scale = 2.0 ** (_SHIFT + low_shift)
    flat = ((rising.steps <= rising.least[:, None]) | (rising.steps > rising.most[:, None])).all(1)
    slope = np.where(flat, 0, rising.slope)
    factor = np.rint(np.minimum(slope * scale, 2.0**62)).astype(np.int64) * rising.sign
    middle = rising.slope * rising.sign * centre + requant.out_zp
    middle = np.clip(middle, requant.lo - 0.4, requant.hi + 0.4)
    fits = limit < 2 ** (31 - low_shift)
    return _recipe(centre, limit, factor, np.rint((middle + 0.5) * scale), low_shift, fits)


def _recipe(
    centre: I64, limit: I64, factor: I64, offset: I64 | F64, low_shift: int, fits: Bools
) -> SplitMultiply:
    """A recipe, its factor and offset in units of 2^-(22 + low_shift), not proven yet."""
    return SplitMultiply(
        centre=_int32(centre, fits),
        limit=_int32(limit, fits),
        low=_int32(factor & (2**low_shift - 1), fits),
        high=_int32(factor >> low_shift, fits),
        offset=_int32(offset.astype(np.int64) >> low_shift, fits),
        low_shift=low_shift,
        shift=_SHIFT,
        proven=fits,
    )


def _where(choose: Bools, one: SplitMultiply, other: SplitMultiply) -> SplitMultiply:
    """Channels of `one` where chosen, else of the other, which has the same shifts."""
    return replace(
        one,
        centre=np.where(choose, one.centre, other.centre),
        limit=np.where(choose, one.limit, other.limit),
        low=np.where(choose, one.low, other.low),
        high=np.where(choose, one.high, other.high),
        offset=np.where(choose, one.offset, other.offset),
        proven=one.proven | other.proven,
    )


def apply(recipe: SplitMultiply, acc: I64) -> I64:
    """What the C code computes of `acc`, shape (C, ...); OverflowError where it would overflow."""
    result, fits = _evaluate(recipe, acc)
    if not fits.all():
        raise OverflowError("an intermediate result does not fit 32 bits")
    return result


def prove(
    recipe: SplitMultiply, requant: Requant, acc_min: I64, acc_max: I64, tolerance: int = 0
) -> Bools:
    """Which channels are within `tolerance` of the float map on all of [acc_min, acc_max].

    Both maps are monotone in the same direction and no intermediate value is largest between the
    ends, so looking at the ends, at each step of the float map and just before it is enough.
    """
    points = Rising.of(requant, acc_min, acc_max).proof_points()
    result, fits = _evaluate(recipe, points)
    near = np.abs(result - float_map(requant, points)) <= tolerance
    legal = (result >= requant.lo) & (result <= requant.hi)
    return np.asarray((near & legal & fits).all(axis=1))


def _evaluate(recipe: SplitMultiply, acc: I64) -> tuple[I64, Bools]:
    """The result of the C code, and where none of its intermediate values overflow."""
    limit = column(recipe.limit, acc).astype(np.int64)
    distance = acc - column(recipe.centre, acc)
    d = np.clip(distance, -limit, limit)
    low, high = d * column(recipe.low, acc), d * column(recipe.high, acc)
    product = (low >> recipe.low_shift) + high
    total = product + column(recipe.offset, acc)
    fits = np.ones(acc.shape, np.bool_)
    for part in (distance, low, high, product, total):
        fits &= (part >= -(2**31)) & (part < 2**31)
    return total >> recipe.shift, fits


def _centred(rising: Rising) -> tuple[Rising, I64, I64]:
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


def _integers(demands: Demands, slope: F64, shift: int, grain: int = 0) -> tuple[I64, I64]:
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


def _int32(values: I64, fits: Bools) -> I32:
    """int32 of values that fit; 0 where the channel is given up or the value is too large."""
    good = fits & (np.abs(values) < 2**31)
    return np.where(good, values, 0).astype(np.int32)
