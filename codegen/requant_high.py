# SPDX-License-Identifier: MIT
"""The cheapest exact requantization of cores with the DSP extension: SMMLA, then SSAT with a shift.

    int32_t v = offset[c] + (int32_t)(((int64_t)sum * multiplier[c]) >> 32);    /* SMMLA */
    q = clamp(v >> shift, lo, hi);                                              /* SSAT  */

`sum` is not the accumulator but what a kernel gets for nothing: `sum = start[c] + step * dot +
residue[c]`, where `dot` is over raw inputs, `acc = dot + bias[c]`, and `bias` also holds the zero
point's share. A step of 256 is what makes 32 bits of the product enough. As the floor of a floor,
the whole is `(acc * multiplier * step + K) >> (32 + shift)`, a monotone map, and proven like those
of `codegen.requant`: equal to the float map at the ends of the reachable range, at each step, and
just before it. About one channel in fifty has no such map (its float map breaks ties both ways).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.ir import I32
from codegen.ops import Requant
from codegen.requant import I64, Bools, _best_slope, _demands, _Rising, float_map

_MAX_SHIFT = 23  # out_zp << shift must stay far inside 32 bits
_NUDGES = (0, 1, -1, 2, -2, 4, -4, 8, -8, 16, -16)
_TURNS = 256
_FAR = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class HighMultiply:
    """`q = clamp((offset + (sum * multiplier >> 32)) >> shift, lo, hi)`; 0 where unproven.

    `sum = step * dot + start + residue`: kernels begin their sums at `start`.
    """

    start: I32
    multiplier: I32
    offset: I32
    shift: int
    lo: int
    hi: int
    proven: Bools


def high_multiply(
    requant: Requant,
    acc_min: I64,
    acc_max: I64,
    bias: I64,
    step: int = 1,
    residue: I64 | None = None,
) -> HighMultiply:
    """The recipe for sums `step * (acc - bias) + residue + start`; all arrays have shape (C,).

    The offset is in units of 2^32, too coarse to hit the interval that the demands leave; together
    with the start, which counts in units of the multiplier, it is fine enough. Found once for equal
    arguments: tiles of one layer, and other kernels for it, ask for the same.
    """
    arrays = (requant.multiplier, acc_min, acc_max, bias, residue)
    numbers = (requant.in_zp, requant.out_zp, requant.lo, requant.hi, step)
    key = (*numbers, *(b"" if a is None else a.tobytes() for a in arrays))
    known = _FOUND.get(key)
    if known is None:
        if len(_FOUND) >= _KEPT:
            _FOUND.clear()
        known = _FOUND[key] = _search(requant, acc_min, acc_max, bias, step, residue)
    return known


_KEPT = 512
_FOUND: dict[tuple[object, ...], HighMultiply] = {}


def _search(
    requant: Requant, acc_min: I64, acc_max: I64, bias: I64, step: int, residue: I64 | None
) -> HighMultiply:
    if requant.lo == requant.hi:
        ones = np.ones(bias.shape, np.int64)
        fixed = np.stack([0 * ones, ones, (2 * requant.lo + 1) * ones])
        return _recipe(requant, fixed, 1, ones.astype(np.bool_))
    rising = _Rising.of(requant, acc_min, acc_max)
    moved = (np.zeros_like(bias) if residue is None else residue) - step * bias
    demands = _demands(rising, edges=False)
    slope = _best_slope(demands, rising)
    largest = float(slope.max(initial=2.0**-40)) / step
    shift = int(np.clip(np.floor(-1 - np.log2(largest * (1 + 1e-6))), 1, _MAX_SHIFT))

    wanted = np.minimum(slope / step * 2.0 ** (32 + shift), 2.0**62)
    base = np.maximum(np.rint(wanted).astype(np.int64), 1)
    level = demands.level << np.int64(32 + shift)
    turns = np.arange(_TURNS, dtype=np.int64)
    chosen = np.zeros((3, base.size), np.int64)
    proven = np.zeros(base.shape, np.bool_)
    # A channel without steps is constant.
    constant: Bools = np.asarray(~(demands.over_used & demands.under_used).any(axis=1))
    value = float_map(requant, (rising.least * rising.sign)[:, None])[:, 0]
    for nudge in _NUDGES:
        trial = base + nudge
        fits = (trial > 0) & (trial < 2**31) & ~proven
        trial = np.where(fits & ~constant, trial, 1)
        factor = trial * rising.sign
        lower = level - demands.over * (step * trial)[:, None]
        upper = level - 1 - demands.under * (step * trial)[:, None]
        least = np.where(demands.over_used, lower, -_FAR).max(axis=1)
        most = np.where(demands.under_used, upper, _FAR).min(axis=1)
        middle = np.where(
            least == -_FAR, most, np.where(most == _FAR, least, least + (most - least) // 2)
        )
        middle = np.where(constant, ((2 * value + 1) << (31 + shift)) + moved * factor, middle)
        wanted = middle - moved * factor
        offset = (wanted >> 32)[:, None] - turns * rising.sign[:, None]
        start = (wanted[:, None] - (offset << 32)) // factor[:, None]
        # The start is a floor: the next one may be nearer.
        error = wanted[:, None] - (offset << 32) - start * factor[:, None]
        start += 2 * np.abs(error) > trial[:, None]
        error = np.abs(wanted[:, None] - (offset << 32) - start * factor[:, None])
        best = np.where(np.abs(start) < 2**26, error, _FAR).argmin(axis=1)
        rows = np.arange(base.size)
        offset = offset[rows, best]
        fits &= np.abs(offset) < 2**30
        tried: I64 = np.where(fits, (start[rows, best], factor, offset), 0)
        recipe = _recipe(requant, tried, shift, fits)
        fits &= _prove(recipe, requant, rising, step, moved)
        chosen = np.where(fits, tried, chosen)
        proven = proven | fits
        if proven.all():
            break
    return _recipe(requant, chosen, shift, proven)


def _recipe(requant: Requant, chosen: I64, shift: int, proven: Bools) -> HighMultiply:
    start, factor, offset = chosen.astype(np.int32)
    return HighMultiply(start, factor, offset, shift, requant.lo, requant.hi, proven)


def evaluate(recipe: HighMultiply, sums: I64) -> I64:
    """What the C code computes of `sums`, int64 of shape (C, ...) that fit 32 bits."""
    column = (-1, *[1] * (sums.ndim - 1))
    high = (sums * recipe.multiplier.astype(np.int64).reshape(column)) >> 32
    value = (high + recipe.offset.astype(np.int64).reshape(column)) >> recipe.shift
    clamped: I64 = np.clip(value, recipe.lo, recipe.hi)
    return clamped


def _prove(recipe: HighMultiply, requant: Requant, rising: _Rising, step: int, moved: I64) -> Bools:
    """Which channels equal the float map on their whole range, with no sum beyond 32 bits."""
    least, most = rising.least[:, None], rising.most[:, None]
    points = np.concatenate([rising.steps, rising.steps - 1, least, most], axis=1)
    points = np.clip(points, least, most) * rising.sign[:, None]
    sums = step * points + (moved + recipe.start)[:, None]
    fits = (sums >= -(2**31)) & (sums < 2**31)
    same = evaluate(recipe, np.where(fits, sums, 0)) == float_map(requant, points)
    return np.asarray((same & fits).all(axis=1))
