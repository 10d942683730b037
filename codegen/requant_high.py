# SPDX-License-Identifier: MIT
"""The cheapest exact requantization of cores with the DSP extension: SMMLA, then SSAT with a shift.

    int32_t v = offset[c] + (int32_t)(((int64_t)sum * multiplier[c]) >> 32);    /* SMMLA */
    q = clamp(v >> shift, lo, hi);                                              /* SSAT  */

`sum` is not the accumulator but what a kernel gets for nothing: `sum = start[c] + step * dot +
residue[c]`, where `dot` is over raw inputs, `acc = dot + bias[c]`, and `bias` also holds the zero
point's share. A step of 256 is what makes 32 bits of the product enough. As the floor of a floor,
the whole is `(acc * multiplier * step + K) >> (32 + shift)`, a monotone map, and proven like those
of `codegen.requant`: equal to the float map at the ends of the reachable range, at each step, and
just before it. About one channel in fifty has no such map (its float map breaks ties both ways):
it takes a float path, or in the mode "fast" the multiplier itself in fixed point, at most 1 off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.ir import I32
from codegen.ops import Requant
from codegen.requant import I64, Bools, Rising, best_slope, demands_of, float_map
from codegen.target import RequantMode

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
    mode: RequantMode = "exact",
) -> HighMultiply:
    """The recipe for sums `step * (acc - bias) + residue + start`; all arrays have shape (C,).

    The offset is in units of 2^32, too coarse to hit the interval that the demands leave; together
    with the start, which counts in units of the multiplier, it is fine enough. Found once for equal
    arguments: tiles of one layer, and other kernels for it, ask for the same.
    """
    arrays = (requant.multiplier, acc_min, acc_max, bias, residue)
    numbers = (requant.in_zp, requant.out_zp, requant.lo, requant.hi, step, mode)
    key = (*numbers, *(b"" if a is None else a.tobytes() for a in arrays))
    known = _FOUND.get(key)
    if known is None:
        if len(_FOUND) >= _KEPT:
            _FOUND.clear()
        known = _FOUND[key] = _search(requant, acc_min, acc_max, bias, step, residue, mode)
    return known


_KEPT = 512
_FOUND: dict[tuple[object, ...], HighMultiply] = {}


def _search(
    requant: Requant,
    acc_min: I64,
    acc_max: I64,
    bias: I64,
    step: int,
    residue: I64 | None,
    mode: RequantMode,
) -> HighMultiply:
    if requant.lo == requant.hi:
        ones = np.ones(bias.shape, np.int64)
        fixed = np.stack([0 * ones, ones, (2 * requant.lo + 1) * ones])
        return _recipe(requant, fixed, 1, ones.astype(np.bool_))
    rising = Rising.of(requant, acc_min, acc_max)
    moved = (np.zeros_like(bias) if residue is None else residue) - step * bias
    demands = demands_of(rising, edges=False)
    slope = best_slope(demands, rising)
    largest = float(slope.max(initial=2.0**-40)) / step
    shift = int(np.clip(np.floor(-1 - np.log2(largest * (1 + 1e-6))), 1, _MAX_SHIFT))

    wanted = np.minimum(slope / step * 2.0 ** (32 + shift), 2.0**62)
    base = np.maximum(np.rint(wanted).astype(np.int64), 1)
    level = demands.level << np.int64(32 + shift)
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
        tried, placed = _placed(middle - moved * factor, factor)
        fits &= placed
        tried = np.where(fits, tried, 0)
        recipe = _recipe(requant, tried, shift, fits)
        fits &= _prove(recipe, requant, rising, step, moved)
        chosen = np.where(fits, tried, chosen)
        proven = proven | fits
        if proven.all():
            break
    if mode == "fast":
        plain = np.rint(np.minimum(rising.slope / step * 2.0 ** (32 + shift), 2.0**62))
        factor = np.maximum(plain.astype(np.int64), 1)
        fits = ~proven & (factor < 2**31)
        factor = np.where(fits, factor, 1) * rising.sign
        tried, placed = _placed(((2 * requant.out_zp + 1) << (31 + shift)) - moved * factor, factor)
        fits &= placed
        tried = np.where(fits, tried, 0)
        recipe = _recipe(requant, tried, shift, fits)
        fits &= _prove(recipe, requant, rising, step, moved, tolerance=1)
        chosen = np.where(fits, tried, chosen)
        proven = proven | fits
    return _recipe(requant, chosen, shift, proven)


def _placed(wanted: I64, factor: I64) -> tuple[I64, Bools]:
    """Starts, factors and offsets, (3, C), whose constants together are as near `wanted` as can be,
    and which fit: the offset counts in 2^32, the start in factors."""
    turns = np.arange(_TURNS, dtype=np.int64)
    offset = (wanted >> 32)[:, None] - turns * np.sign(factor)[:, None]
    start = (wanted[:, None] - (offset << 32)) // factor[:, None]
    # The start is a floor: the next one may be nearer.
    error = wanted[:, None] - (offset << 32) - start * factor[:, None]
    start += 2 * np.abs(error) > np.abs(factor)[:, None]
    error = np.abs(wanted[:, None] - (offset << 32) - start * factor[:, None])
    best = np.where(np.abs(start) < 2**26, error, _FAR).argmin(axis=1)
    rows = np.arange(factor.size)
    found = np.stack([start[rows, best], factor, offset[rows, best]])
    return found, np.asarray(np.abs(found[2]) < 2**30)


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


def _prove(
    recipe: HighMultiply,
    requant: Requant,
    rising: Rising,
    step: int,
    moved: I64,
    tolerance: int = 0,
) -> Bools:
    """Which channels are that near the float map on all their range, with no sum beyond 32 bits."""
    points = rising.proof_points()
    sums = step * points + (moved + recipe.start)[:, None]
    fits = (sums >= -(2**31)) & (sums < 2**31)
    difference = evaluate(recipe, np.where(fits, sums, 0)) - float_map(requant, points)
    return np.asarray(((np.abs(difference) <= tolerance) & fits).all(axis=1))
