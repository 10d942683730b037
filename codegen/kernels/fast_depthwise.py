# SPDX-License-Identifier: MIT
"""int8 depthwise convolutions for cores with the DSP extension and an FPU, channel by channel."""

from __future__ import annotations

from functools import partial

import numpy as np

from codegen.ir import Graph, Node, Tensor
from codegen.kernels.base import Call, Constant
from codegen.kernels.conv import is_depthwise
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_dot import U32, dual_issue
from codegen.kernels.overlap import channel_by_channel
from codegen.kernels.reference import constant_input, in_and_out
from codegen.ops import ConvS8, Window
from codegen.requant import I64, reachable_range
from codegen.requant_high import HighMultiply, high_multiply
from codegen.target import Optimize, RequantMode, Target

_LARGEST_OFFSET = 1020  # of LDRD


def _unrolling(pairs: int, optimize: Optimize) -> tuple[int, int]:
    """How many pairs of outputs come before the loop and how many are in it."""
    most = {"speed": 6, "balanced": 3, "size": 1}[optimize]
    if pairs <= most:
        return pairs, 1
    unroll = max(u for u in range(1, most + 1) if pairs % u <= most - u or u == 1)
    return pairs % unroll, unroll


def _recipe(
    node: Node, graph: Graph, op: ConvS8, mode: RequantMode
) -> tuple[HighMultiply, I64, int, U32, U32] | None:
    """Requantization, wide weights [Co,Kh,Kw], their shift; scales and biases for float."""
    w = constant_input(node, graph, 1)
    if w is None:
        return None
    count = w.shape[0]
    wide = w.reshape(w.shape[:3]).astype(np.int64)
    if op.w_zp is not None:
        wide = wide - op.w_zp.astype(np.int64).reshape(-1, 1, 1)
    up = 8 if wide.min() >= -128 and wide.max() <= 127 else 7
    b = constant_input(node, graph, 2)
    bias = np.zeros(count, np.int64) if b is None else b.astype(np.int64)
    total_bias = bias - op.requant.in_zp * wide.sum(axis=(1, 2))
    acc_min, acc_max = reachable_range(wide, None, bias, op.requant.in_zp)
    scale = np.broadcast_to(op.requant.multiplier, (count,)).astype(np.float32)
    bound = np.maximum(np.abs(acc_min), np.abs(acc_max))
    if bound.max() >= 2**30 or (bound * np.abs(scale.astype(np.float64)) >= 2**30).any():
        return None
    if np.abs(wide).sum(axis=(1, 2)).max() * 128 << up >= 2**31:
        return None
    recipe = high_multiply(op.requant, acc_min, acc_max, total_bias, 1 << up, mode=mode)
    return recipe, wide, up, scale.view(np.uint32), total_bias.astype(np.int32).view(np.uint32)


def _halves(low: I64, high: I64) -> U32:
    """Two signed halfwords in each word."""
    return ((low & 0xFFFF) | ((high & 0xFFFF) << 16)).astype(np.uint32)


def _plan3x3(node: Node, graph: Graph, target: Target, bands: int = 1) -> Plan | None:
    op = node.op
    if not isinstance(op, ConvS8) or not target.dsp or target.fpu == "none":
        return None
    window = op.window
    stride = window.strides[0]
    if not is_depthwise(node, graph) or window.kernel != (3, 3) or window.dilations != (1, 1):
        return None
    if window.strides not in ((1, 1), (2, 2)):
        return None
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    pad_top, pad_left = window.pads[:2]
    band = _band(node, graph, bands)
    if band is None:
        return None
    height = (band - 1) * stride + 3
    width = (out_w - 1) * stride + 3
    width = (width + (1 if stride == 1 else 2)) & ~1
    if (
        4 * width + 8 > _LARGEST_OFFSET
        or 2 * height * width > 65535
        or pad_top >= height
        or pad_left >= width
        or 4 * stride * (out_w // 2) > 4095
        or out_c > 4095
    ):
        return None
    found = _recipe(node, graph, op, target.requant)
    if found is None:
        return None
    recipe, wide, up, scale, float_bias = found
    w = wide << up
    pairs = np.stack([_halves(w[..., 0], w[..., 1]), _halves(w[..., 1], w[..., 2])], axis=2)
    records = np.zeros((out_c, 9), np.uint32)
    records[:, :6] = pairs.reshape(out_c, 6)
    ends = np.stack([recipe.multiplier, recipe.offset, recipe.start], axis=1).view(np.uint32)
    floats = np.stack([np.zeros(out_c, np.uint32), scale, float_bias], axis=1)
    records[:, 6:] = np.where(recipe.proven[:, None], ends, floats)
    head, unroll = _unrolling(out_w // 2, target.optimize)
    kernel = "nn_depthwise_s8_dsp3x3"
    requant = op.requant

    def write() -> Call:
        text = (
            f"{kernel}({batch}, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c // in_c}, "
            f"{stride}, {pad_top}, {pad_left},\n    {band}, {height}, {width}, {head}, {unroll}, "
            f"{up}, {recipe.shift}, {requant.in_zp}, {requant.out_zp}, {requant.lo}, {requant.hi}, "
            f"{int(not recipe.proven.all())}, x0, @records@, y0, scratch);"
        )
        constants = (Constant("records", "uint32_t", records),)
        return Call((f"{kernel}.h",), constants, text, dual_issue(target))

    extra_bytes = 4 if dual_issue(target) else 0
    overlaps = channel_by_channel(x, y) if _read_in_time(x, y, window, band) else ()
    instructions = _bands_instructions(node, graph, band, width)
    return Plan(write, 2 * height * width + extra_bytes, overlaps, instructions)


def _plan_any(node: Node, graph: Graph, target: Target, bands: int = 1) -> Plan | None:
    op = node.op
    if not isinstance(op, ConvS8) or not target.dsp or target.fpu == "none":
        return None
    window = op.window
    stride = window.strides[0]
    kernel_h, kernel_w = window.kernel
    if not is_depthwise(node, graph) or window.dilations != (1, 1) or kernel_w > 8:
        return None
    if window.strides not in ((1, 1), (2, 2)):
        return None
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    pad_top, pad_left = window.pads[:2]
    band = _band(node, graph, bands)
    if band is None:
        return None
    height = (band - 1) * stride + kernel_h
    # Four outputs at a time read whole words, up to one behind the last window.
    words = kernel_w // 2 + 1 if stride == 1 else (kernel_w + 1) // 2
    last = (out_w - 1) // 4 * 4 * stride
    width = last + 2 * words + (2 if stride == 1 else 6)
    found = _recipe(node, graph, op, target.requant)
    w = constant_input(node, graph, 1)
    if found is None or w is None or pad_top >= height or pad_left >= width:
        return None
    recipe, _, up, scale, float_bias = found
    zps = np.zeros(out_c, np.int32) if op.w_zp is None else op.w_zp.astype(np.int32)
    ends = np.stack([recipe.multiplier, recipe.offset, recipe.start, zps], axis=1)
    floats = np.stack(
        [np.zeros(out_c, np.int32), scale.view(np.int32), float_bias.view(np.int32), zps], axis=1
    )
    parameters = np.where(recipe.proven[:, None], ends, floats).astype(np.int32)
    kernel, requant = "nn_depthwise_s8_dsp", op.requant

    def write() -> Call:
        text = (
            f"{kernel}({batch}, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c // in_c}, "
            f"{kernel_h}, {kernel_w}, {stride}, {pad_top}, {pad_left}, {band}, {height},\n"
            f"    {width}, {up}, {recipe.shift}, {requant.in_zp}, {requant.out_zp}, {requant.lo}, "
            f"{requant.hi}, {int(not recipe.proven.all())}, x0, @weights@, @parameters@, y0, "
            "scratch);"
        )
        constants = (
            Constant("weights", "int8_t", w),
            Constant("parameters", "int32_t", parameters),
        )
        return Call((f"{kernel}.h",), constants, text)

    scratch_bytes = 2 * height * width + 4 * kernel_h * words * (2 if stride == 1 else 1)
    overlaps = channel_by_channel(x, y) if _read_in_time(x, y, window, band) else ()
    return Plan(write, scratch_bytes, overlaps, _bands_instructions(node, graph, band, width))


def _band(node: Node, graph: Graph, bands: int) -> int | None:
    """Rows of outputs in each of at least so many equal bands; None where that cannot be."""
    op = node.op
    assert isinstance(op, ConvS8)
    window, out_h = op.window, graph.tensors[node.outputs[0]].shape[1]
    band = max((rows for rows in range(1, out_h // bands + 1) if out_h % rows == 0), default=None)
    if band is None or band == out_h:
        return band
    kernel_h, stride = window.kernel[0], window.strides[0]
    height = (band - 1) * stride + kernel_h
    return band if kernel_h >= stride and window.pads[0] < height else None


def _read_in_time(x: Tensor, y: Tensor, window: Window, band: int) -> bool:
    """Whether each band but the last ends before the inputs of its channel that are in scratch."""
    _, in_h, in_w, _ = x.shape
    _, out_h, out_w, _ = y.shape
    reach = window.kernel[0] - window.pads[0]
    return all(
        end * out_w <= min(in_h, (end - 1) * window.strides[0] + reach) * in_w
        for end in range(band, out_h, band)
    )


def _bands_instructions(node: Node, graph: Graph, band: int, width: int) -> int:
    """What bands cost over one plane per channel, about: their start, and moving shared rows."""
    op = node.op
    assert isinstance(op, ConvS8)
    _, out_h, _, out_c = graph.tensors[node.outputs[0]].shape
    shared = op.window.kernel[0] - op.window.strides[0]
    return out_c * (out_h // band - 1) * (60 + 2 * shared * width)


FAST = (
    planned("nn_depthwise_s8_dsp3x3", _plan3x3),
    planned("nn_depthwise_s8_dsp", _plan_any),
)

IN_BANDS = tuple(
    planned(variant.name, partial(make, bands=bands), f" in {bands} bands or more")
    for variant, make in zip(FAST, (_plan3x3, _plan_any), strict=True)
    for bands in (2, 4, 8, 16)
)
"""The same with less scratch: a plane holds the inputs of some rows of outputs at a time."""
