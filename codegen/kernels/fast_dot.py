# SPDX-License-Identifier: MIT
"""Weights packed for kernels with SMLAD, and the streams that `nn_dot_s8_dsp.h` reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I8, I32
from codegen.ops import Requant
from codegen.requant import I64, reachable_range
from codegen.requant_high import HighMultiply, high_multiply
from codegen.target import RequantMode, Target

U32 = npt.NDArray[np.uint32]

_STEP = 256


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What a layer's kernel reads and the constants that it is specialised for."""

    words: U32
    shift: int
    floats: bool
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Filters packed for SMLAD, and how their sums become outputs; all per filter."""

    words: U32
    recipe: HighMultiply
    scale: F32
    float_bias: I64

    @property
    def groups(self) -> int:
        return int(self.words.shape[1])


def padded_pairs(w: I8) -> tuple[I64, I64]:
    """Weights (C, K), K filled up with zeros to a multiple of 4: the even ones and the odd ones."""
    padded = np.pad(w.astype(np.int64), ((0, 0), (0, -w.shape[1] % 4)))
    return padded[:, 0::2], padded[:, 1::2]


def packable(w: I8) -> bool:
    """Whether pairs of weights w0, w1 fit a halfword as w0 + 256 * w1 (only -128 ever does not)."""
    even, odd = padded_pairs(w)
    return bool(((even + 256 * odd) >= -(2**15)).all())


def pack(w: I8, bias: I32 | None, requant: Requant, mode: RequantMode) -> Packed | None:
    """Filters w (C, K), K in the order of the spread inputs; None when sums might overflow."""
    count = w.shape[0]
    if not packable(w):
        return None
    even, odd = padded_pairs(w)
    biases = np.zeros(count, np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    total_bias = biases - requant.in_zp * w.astype(np.int64).sum(axis=1)
    residue = 127 * even.sum(axis=1)
    acc_min, acc_max = reachable_range(w, None, biases, requant.in_zp)
    dot_min, dot_max = reachable_range(w, None, None, 0)
    largest = np.maximum(np.abs(dot_min), np.abs(dot_max)) * _STEP + np.abs(residue)
    scale = np.broadcast_to(requant.multiplier, (count,)).astype(np.float32)
    bound = np.maximum(np.abs(acc_min), np.abs(acc_max))
    if (
        largest.max() >= 2**31
        or bound.max() >= 2**30
        or (bound * np.abs(scale.astype(np.float64)) >= 2**30).any()
    ):
        return None
    recipe = high_multiply(requant, acc_min, acc_max, total_bias, _STEP, residue, mode)
    words = np.ascontiguousarray((even + 256 * odd).astype(np.int16)).view(np.uint32)
    return Packed(words, recipe, scale, total_bias - (residue >> 8))


def stream(w: I8, bias: I32 | None, requant: Requant, mode: RequantMode) -> Stream | None:
    """The stream of `nn_dot_s8_dsp.h` of filters w (C, K); None when it cannot be exact.

    An odd number of filters ends with the last two: one of them is computed twice.
    """
    count = w.shape[0]
    packed = pack(w, bias, requant, mode) if count >= 2 else None
    if packed is None:
        return None
    rows = [[f, f + 1] for f in range(0, count - 1, 2)]
    if count % 2:
        rows.append([count - 2, count - 1])
    words = np.concatenate([record(packed, pair) for pair in rows])
    recipe = packed.recipe
    return Stream(words, recipe.shift, not bool(recipe.proven.all()), packed.groups)


def record(packed: Packed, filters: list[int]) -> U32:
    """Some filters as `nn_packed_s8.h` reads them: starts, interleaved weights, constants."""
    weights = packed.words[filters].T.reshape(-1)
    recipe = packed.recipe
    if recipe.proven[filters].all():
        start = recipe.start[filters]
        end = np.stack([recipe.multiplier[filters], recipe.offset[filters]], axis=1).reshape(-1)
        return np.concatenate([start.view(np.uint32), weights, end.view(np.uint32)])
    scales = packed.scale[filters].view(np.uint32)
    biases = packed.float_bias[filters].astype(np.int32).view(np.uint32)
    zeros = np.zeros(len(filters), np.uint32)
    return np.concatenate([zeros, weights, zeros[: len(filters) // 2], scales, biases])


def unrolling(groups: int, target: Target) -> tuple[int, int]:
    """How many groups are outside of the loop and how many are in it.

    The first group is special, and on cores that load ahead the last one, too.
    """
    speed = target.optimize == "speed"
    if groups <= (8 if speed else 4):
        return groups, 1
    wanted = 6 if speed else 3
    least = 2 if dual_issue(target) else 1
    best = min(
        ((head, unroll) for unroll in range(2, wanted + 1) for head in range(least, unroll + least)
         if (groups - head) % unroll == 0),
        key=lambda c: 3 * ((groups - c[0]) // c[1]) + 2 * (c[0] + c[1]),
    )  # fmt: skip
    return best


def dual_issue(target: Target) -> tuple[str, ...]:
    """The define that orders instructions for cores that issue two at a time."""
    return ("NN_DUAL_ISSUE",) if target.core == "m7" else ()


def dot_defines(target: Target) -> tuple[str, ...]:
    """How the products of convolutions are compiled: order, and whether layers share a function."""
    shared = () if target.optimize == "speed" else ("NN_SHARED_DOT",)
    return (*dual_issue(target), *shared)
