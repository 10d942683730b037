# SPDX-License-Identifier: MIT
"""int8 convolutions without groups for cores without the DSP extension: three columns at a time."""

from __future__ import annotations

import numpy as np

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_struct, window_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_v6m import biased, end_fields, end_records, is_target, operands
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.reference import in_and_out
from codegen.ops import ConvS8, DenseS8, Window
from codegen.requant import I64
from codegen.target import Target

FIELD = 1 << 20
"""What sums of packed columns are offset by; twice that is their room."""

_LARGEST_SUM = (FIELD - 1) // 128  # of magnitudes of weights
_MOST_PARTS = 64


def _parts(flat: I64) -> tuple[int, int] | None:
    """How many parts filters (C, K) need, and taps per part, in fours, for sums to fit."""
    count, depth = flat.shape
    for parts in range(1, _MOST_PARTS + 1):
        taps = -(-depth // (4 * parts)) * 4
        filled = np.pad(np.abs(flat), ((0, 0), (0, parts * taps - depth)))
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
    op = node.op
    if not isinstance(op, ConvS8 | DenseS8) or not is_target(target, op):
        return None
    found, places = operands(node, graph), _window(node, graph)
    if found is None or places is None:
        return None
    window, x_shape, y_shape = places
    out_c = y_shape[3]
    flat = found.w.reshape(out_c, -1)
    split = _parts(flat)
    if split is None:
        return None
    parts, taps = split
    records = end_records(op.requant, flat, found.bias, parts * FIELD, target)
    if records is None:
        return None
    room = ((0, out_c % 2), (0, parts * taps - flat.shape[1]))
    filled = np.pad(found.stored.reshape(out_c, -1), room)
    pairs = biased(filled).reshape(-1, 2, parts * taps).transpose(0, 2, 1)
    kernel, requant = "nn_conv2d_s8_v6m", op.requant

    def write() -> Call:
        fields = {"taps": taps, "parts": parts, "in_zp": requant.in_zp, "w_zero": 128 + found.zp}
        body = "\n".join(
            (
                window_text(window, x_shape, y_shape),
                c_struct("nn_columns_v6m", "q", fields | end_fields(requant, records.low_shift)),
                f"{kernel}(&p, &q, x0, @weights@, @records@, y0, scratch);",
            )
        )
        constants = (
            Constant("weights", "uint8_t", np.ascontiguousarray(pairs)),
            Constant("records", "int32_t", records.words),
        )
        return Call((f"{kernel}.h",), constants, body, records.defines)

    scratch_bytes = 8 * parts * taps + 16 * parts + window.kernel[1] * x_shape[3]
    return Plan(write, scratch_bytes, pixel_by_pixel(node, graph))


FAST = (planned("nn_conv2d_s8_v6m", _conv),)
