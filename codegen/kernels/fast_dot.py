# SPDX-License-Identifier: MIT
"""The streams that `nn_dot_s8_dsp.h` reads: packed weights and exact requantization of filter pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codegen.ir import I8, I32
from codegen.ops import Requant
from codegen.requant import I64, reachable_range
from codegen.requant_high import HighMultiply, high_multiply
from codegen.target import Optimize

U32 = npt.NDArray[np.uint32]

_STEP = 256


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What a layer's kernel reads and the constants that it is specialised for."""

    words: U32
    shift: int
    floats: bool
    groups: int


def packable(w: I8) -> bool:
    """Whether pairs of weights w0, w1 fit a halfword as w0 + 256 * w1 (only -128 ever does not)."""
    even, odd = _pairs(_padded(w))
    return bool(((even + 256 * odd) >= -(2**15)).all())


def _padded(w: I8) -> I64:
    """Weights (C, K) with K filled up with zeros to a multiple of 4."""
    return np.pad(w.astype(np.int64), ((0, 0), (0, -w.shape[1] % 4)))


def _pairs(w: I64) -> tuple[I64, I64]:
    return w[:, 0::2], w[:, 1::2]


def stream(w: I8, bias: I32 | None, requant: Requant) -> Stream | None:
    """The stream of filters w (C, K), K in the order of the spread inputs; None when not exact.

    An odd number of filters ends with the last two: one of them is computed twice.
    """
    count = w.shape[0]
    if count < 2 or not packable(w):
        return None
    padded = _padded(w)
    even, odd = _pairs(padded)
    sums = padded.sum(axis=1)
    biases = np.zeros(count, np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    total_bias = biases - requant.in_zp * sums
    residue = 127 * even.sum(axis=1)
    acc_min, acc_max = reachable_range(w, None, biases, requant.in_zp)
    dot_min, dot_max = reachable_range(w, None, None, 0)
    largest = np.maximum(np.abs(dot_min), np.abs(dot_max)) * _STEP + np.abs(residue)
    scale = np.broadcast_to(requant.multiplier, (count,)).astype(np.float32)
    bounds = np.stack([acc_min, acc_max], axis=1)
    if (
        largest.max() >= 2**31
        or np.abs(bounds).max() >= 2**30
        or (np.abs(bounds).max(axis=1) * np.abs(scale.astype(np.float64)) >= 2**30).any()
    ):
        return None
    recipe = high_multiply(requant, acc_min, acc_max, total_bias, _STEP, residue)
    packed = (even + 256 * odd).astype(np.int16).view(np.uint32).reshape(count, -1)
    rows = [(f, f + 1) for f in range(0, count - 1, 2)]
    if count % 2:
        rows.append((count - 2, count - 1))
    float_bias = total_bias - (residue >> 8)
    parts = [_record(f, g, packed, recipe, scale, float_bias) for f, g in rows]
    return Stream(
        np.concatenate(parts), recipe.shift, not bool(recipe.proven.all()), packed.shape[1]
    )


def _record(
    f: int, g: int, packed: U32, recipe: HighMultiply, scale: npt.NDArray[np.float32], bias: I64
) -> U32:
    """One pair of filters: starts, interleaved weights, constants."""
    weights = np.stack([packed[f], packed[g]], axis=1).reshape(-1)
    if recipe.proven[f] and recipe.proven[g]:
        start = recipe.start[[f, g]]
        end = np.array(
            [recipe.multiplier[f], recipe.offset[f], recipe.multiplier[g], recipe.offset[g]],
            np.int32,
        ).view(np.uint32)
    else:
        start = np.zeros(2, np.int32)
        end = np.concatenate(
            [
                np.zeros(1, np.uint32),
                scale[[f, g]].view(np.uint32),
                bias[[f, g]].astype(np.int32).view(np.uint32),
            ]
        )
    return np.concatenate([start.view(np.uint32), weights, end])


def unrolling(groups: int, optimize: Optimize) -> tuple[int, int]:
    """How many groups come before the loop (at least 1) and how many are in it."""
    if groups <= (8 if optimize == "speed" else 4):
        return groups, 1
    wanted = 6 if optimize == "speed" else 3
    best = min(
        ((head, unroll) for unroll in range(2, wanted + 1) for head in range(1, unroll + 1)
         if (groups - head) % unroll == 0),
        key=lambda c: 3 * ((groups - c[0]) // c[1]) + 2 * (c[0] + c[1]),
    )  # fmt: skip
    return best


__all__ = ["Stream", "packable", "stream", "unrolling"]
