# SPDX-License-Identifier: MIT
"""float32 to int8 without a division, equal to the division for every float32.

QuantizeLinear never falls where its input rises, so the 255 inputs at which its output rises say
all of it. Cores without an FPU look them up; for those with one, a product is proven to rise at
just these inputs.
"""

from __future__ import annotations

from math import prod

import numpy as np

from codegen.ir import F32, I32, Graph, Node
from codegen.kernels.base import Call, Constant, Overlap
from codegen.kernels.c_text import c_float
from codegen.kernels.fast import Plan, planned
from codegen.ops import Quantize
from codegen.oracle import mlas
from codegen.target import Target

_OUTPUTS = np.arange(-127, 128)
_INFINITY = 0x7F800000

_BEHIND = (Overlap(0, 0, exact=False),)
"""Outputs are a fourth of the inputs and written behind them, so they may start where these do."""


def floats_of(keys: I32) -> F32:
    """The float32 of each key; keys are int32 that order as the floats do, 0 for 0.0."""
    bits = np.where(keys < 0, keys ^ np.int32(0x7FFFFFFF), keys).astype(np.int32)
    return bits.view(np.float32)


def thresholds(op: Quantize) -> I32:
    """The key of the least input whose output is at least -127..127, int32[255], ascending."""
    low, high = np.full(255, -_INFINITY - 1, np.int64), np.full(255, _INFINITY, np.int64)
    while (low < high).any():
        middle = (low + high) >> 1
        reached = mlas.quantize(floats_of(middle.astype(np.int32)), op.scale, op.zp) >= _OUTPUTS
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return low.astype(np.int32)


def reciprocal(op: Quantize) -> tuple[np.float32, np.float32] | None:
    """(a, b) such that `rint(fma(x, a, x * b))` gives what `rint(x / scale)` does, for finite x.

    The sum rises with x, as b is at most half a unit in the last place of a, so that it is enough
    to look on both sides of each threshold. None where no such pair is found.
    """
    inverse = 1.0 / float(np.float32(op.scale))
    with np.errstate(over="ignore"):
        a = np.float32(inverse)
        b = np.float32(inverse - float(a))
    if not np.isfinite(a) or abs(a) < np.finfo(np.float32).tiny:
        return None
    keys = thresholds(op)
    for shift in (0, -1):
        x = floats_of((keys.astype(np.int64) + shift).clip(-_INFINITY - 1).astype(np.int32))
        finite = np.isfinite(x)
        with np.errstate(over="ignore"):
            rounded = np.rint(mlas.fma(x[finite], a, x[finite] * b))
        if (mlas.saturate(rounded, op.zp) != mlas.quantize(x[finite], op.scale, op.zp)).any():
            return None
    return a, b


def _fpu(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, Quantize) or target.fpu == "none":
        return None
    pair = reciprocal(op)
    if pair is None:
        return None
    kernel, count = "nn_quantize_f32_s8_fpu", prod(graph.tensors[node.outputs[0]].shape)
    scale, a, b = (c_float(float(value)) for value in (op.scale, *pair))

    def write() -> Call:
        body = f"{kernel}({count}, {scale}, {a}, {b}, {op.zp}, x0, y0);"
        return Call((f"{kernel}.h",), (), body)

    return Plan(write, 0, _BEHIND)


def _search(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, Quantize) or target.fpu != "none":
        return None
    kernel, count = "nn_quantize_f32_s8_search", prod(graph.tensors[node.outputs[0]].shape)
    table = Constant("thresholds", "int32_t", thresholds(op))
    return Plan(
        lambda: Call((f"{kernel}.h",), (table,), f"{kernel}({count}, @thresholds@, x0, y0);"),
        0,
        _BEHIND,
    )


FAST_FPU = (planned("nn_quantize_f32_s8_fpu", _fpu),)
FAST_SEARCH = (planned("nn_quantize_f32_s8_search", _search),)
