# SPDX-License-Identifier: MIT
"""int8 kernels for cores without the DSP extension: M0+, and M3, where they count no more.

Weights go to flash as unsigned bytes, w + 128; sums become outputs by records of five words per
output channel (`nn_v6m.h`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codegen.ir import I8, I32, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_struct, window_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.reference import constant_input, in_and_out
from codegen.ops import ConvS8, DenseS8, Requant, Window
from codegen.requant import I64, float_map, reachable_range, split_multiply
from codegen.target import Target

_FIELD = 1 << 20  # what sums of packed columns are offset by
_LARGEST_SUM = (_FIELD - 1) // 128  # of magnitudes of weights, for sums within +-_FIELD
_MOST_PARTS = 64
_LARGEST_BIAS = 2**29


def is_target(target: Target) -> bool:
    """Whether these kernels are for this core."""
    return not target.dsp


def biased(w: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Weights as the kernels load them."""
    return (w.astype(np.int16) + 128).astype(np.uint8)


def end_records(requant: Requant, w: I8, bias: I32 | None, lead: int) -> tuple[I32, int] | None:
    """Records (C, 5) for kernels whose sums are `sum(x * w) + lead`, and the low shift.

    `w` is (C, ...), x raw int8. None where accumulators might not fit.
    """
    count = w.shape[0]
    biases = np.zeros(count, np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    acc_min, acc_max = reachable_range(w, None, biases, requant.in_zp)
    total = w.reshape(count, -1).astype(np.int64).sum(axis=1)
    start = biases - requant.in_zp * total - lead
    multiplier = np.broadcast_to(requant.multiplier, (count,)).astype(np.float32)
    largest = max(np.abs(acc_min).max(), np.abs(acc_max).max(), np.abs(start).max())
    if largest >= _LARGEST_BIAS or (multiplier < 0).any():
        return None
    recipe = split_multiply(requant, acc_min, acc_max)
    at_zero = float_map(requant, np.zeros((count, 1), np.int64))[:, 0] << recipe.shift
    words: I64 = np.stack(
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
    return words.astype(np.int32), recipe.low_shift


def _parts(flat: I8) -> tuple[int, int] | None:
    """How many parts filters (C, K) need, and taps per part, in fours, for sums to fit."""
    count, depth = flat.shape
    for parts in range(1, _MOST_PARTS + 1):
        taps = -(-depth // (4 * parts)) * 4
        filled = np.pad(np.abs(flat.astype(np.int64)), ((0, 0), (0, parts * taps - depth)))
        if filled.reshape(count, parts, taps).sum(axis=2).max() <= _LARGEST_SUM:
            return parts, taps
    return None


def _window(node: Node, graph: Graph) -> tuple[Window, tuple[int, ...], tuple[int, ...]] | None:
    """The layer as a convolution of images: window, shapes of x and y."""
    x, y = in_and_out(node, graph)
    if isinstance(node.op, ConvS8):
        return (node.op.window, x.shape, y.shape) if node.op.groups == 1 else None
    rows = x.shape[0]
    if rows < 2:
        return None
    return Window((1, 1)), (1, 1, rows, x.shape[1]), (1, 1, rows, y.shape[1])


def _conv(node: Node, graph: Graph, target: Target) -> Plan | None:
    op, w = node.op, constant_input(node, graph, 1)
    if not isinstance(op, ConvS8 | DenseS8) or op.w_zp is not None or w is None:
        return None
    found = _window(node, graph) if is_target(target) else None
    if found is None:
        return None
    window, x_shape, y_shape = found
    out_c = y_shape[3]
    flat = w.astype(np.int8).reshape(out_c, -1)
    split = _parts(flat)
    if split is None:
        return None
    parts, taps = split
    bias = constant_input(node, graph, 2)
    records = end_records(
        op.requant, flat, None if bias is None else bias.astype(np.int32), parts * _FIELD
    )
    if records is None:
        return None
    words, low_shift = records
    filled = np.pad(flat, ((0, out_c % 2), (0, parts * taps - flat.shape[1])))
    pairs = biased(filled).reshape(-1, 2, parts * taps).transpose(0, 2, 1)
    kernel, requant = "nn_conv2d_s8_v6m", op.requant

    def write() -> Call:
        fields: dict[str, int | float | str] = {
            "taps": taps, "parts": parts, "in_zp": requant.in_zp, "low_shift": low_shift,
            "out_zp": requant.out_zp, "lo": requant.lo, "hi": requant.hi,
        }  # fmt: skip
        body = "\n".join(
            (
                window_text(window, x_shape, y_shape),
                c_struct("nn_columns_v6m", "q", fields),
                f"{kernel}(&p, &q, x0, @weights@, @records@, y0, scratch);",
            )
        )
        constants = (
            Constant("weights", "uint8_t", np.ascontiguousarray(pairs)),
            Constant("records", "int32_t", words),
        )
        return Call((f"{kernel}.h",), constants, body)

    scratch_bytes = 8 * parts * taps + 8 * parts + window.kernel[1] * x_shape[3]
    return Plan(write, scratch_bytes, pixel_by_pixel(node, graph))


FAST_V6M = (planned("nn_conv2d_s8_v6m", _conv),)
