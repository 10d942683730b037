# SPDX-License-Identifier: MIT
"""int8 kernels for cores without the DSP extension: M0+, and M3, where they count no more.

They run anywhere, and do where other cores have nothing better.

Weights go to flash as unsigned bytes, w + 128; sums become outputs by records of five words per
output channel, or two for small code (`nn_v6m.h`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codegen.ir import I8, I32, Graph, Node
from codegen.kernels.reference import constant_input
from codegen.ops import ConvS8, DenseS8, Requant
from codegen.requant import I64, float_map, reachable_range
from codegen.requant_split import split_multiply
from codegen.target import Target

_LARGEST_BIAS = 2**29


def is_target(target: Target, op: ConvS8 | DenseS8) -> bool:
    """Whether these kernels are for this core: also where the weights have a zero point, as uint8
    weights do, which no convolution for the DSP extension takes."""
    return not target.dsp or op.w_zp is not None


def biased(w: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Weights as the kernels load them."""
    return (w.astype(np.int16) + 128).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """Constant weights (C, ...) as stored, their zero point, what they stand for, and the bias."""

    stored: I8
    zp: int
    w: I64
    bias: I32 | None


def operands(node: Node, graph: Graph) -> Operands | None:
    """None where weights are computed, or where channels differ in a zero point that matters."""
    op, w, b = node.op, constant_input(node, graph, 1), constant_input(node, graph, 2)
    if w is None or not isinstance(op, ConvS8 | DenseS8):
        return None
    zps = np.zeros(1, np.int64) if op.w_zp is None else op.w_zp.astype(np.int64)
    true = w.astype(np.int64) - zps.reshape(-1, *[1] * (w.ndim - 1))
    if true.min() >= -128 and true.max() <= 127:
        zp = 0
    elif (zps == zps[0]).all():
        zp = int(zps[0])
    else:
        return None
    return Operands(
        (true + zp).astype(np.int8), zp, true, None if b is None else b.astype(np.int32)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """How sums become outputs: words (C, 5), or (C, 2) where code is to be small."""

    words: I32
    low_shift: int
    defines: tuple[str, ...]


def end_records(
    requant: Requant, w: I64, bias: I32 | None, lead: int | I64, target: Target
) -> Records | None:
    """Records for kernels whose sums are `sum(x * w) + lead`.

    `w` is (C, ...), `lead` (C,) or one for all. None where accumulators might not fit. For `size`
    the records are short: 12 bytes a channel less, and some 50 instructions an output more.
    """
    count = w.shape[0]
    biases = np.zeros(count, np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    acc_min, acc_max = reachable_range(w, None, biases, requant.in_zp)
    total = w.reshape(count, -1).sum(axis=1)
    start = biases - requant.in_zp * total - lead
    multiplier = np.broadcast_to(requant.multiplier, (count,)).astype(np.float32)
    largest = max(np.abs(acc_min).max(), np.abs(acc_max).max(), np.abs(start).max())
    if largest >= _LARGEST_BIAS or requant.lo == requant.hi:
        return None
    if target.optimize == "size":
        words = np.stack([start, multiplier.view(np.int32)], axis=1)
        return Records(words.astype(np.int32), 0, ("NN_SHORT_RECORDS",))
    recipe = split_multiply(requant, acc_min, acc_max, target.requant)
    at_zero = float_map(requant, np.zeros((count, 1), np.int64))[:, 0] << recipe.shift
    words = np.stack(
        [
            start - np.where(recipe.proven, recipe.centre, 0),
            np.where(recipe.proven, recipe.limit, 0),
            np.where(recipe.proven, recipe.low, multiplier.view(np.int32)),
            np.where(recipe.proven, recipe.high, 0),
            np.where(recipe.proven, recipe.offset, at_zero),
        ],
        axis=1,
    )
    if np.abs(words[:, 0]).max() >= 2 * _LARGEST_BIAS:
        return None
    return Records(words.astype(np.int32), recipe.low_shift, ())


def end_fields(requant: Requant, low_shift: int) -> dict[str, int | float | str]:
    """The fields of `nn_end_v6m`, which other structs end with."""
    return {
        "low_shift": low_shift, "out_zp": requant.out_zp, "lo": requant.lo, "hi": requant.hi,
    }  # fmt: skip
