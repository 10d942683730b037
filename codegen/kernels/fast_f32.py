# SPDX-License-Identifier: MIT
"""float32 convolutions and fully connected layers for cores with an FPU, in register blocks."""

from __future__ import annotations

import numpy as np

from codegen.ir import F32, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_float, window_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.reference import constant_input, in_and_out
from codegen.ops import INF, ConvF32, DenseF32
from codegen.target import Target


def _blocks(w: F32, bias: F32, width: int) -> F32:
    """Filters w (C, K) `width` at a time: their biases, then weights [K][width]; C >= width."""
    count = w.shape[0]
    firsts = [min(f, count - width) for f in range(0, count, width)]
    parts = []
    for f in firsts:
        parts += [bias[f : f + width], w[f : f + width].T.reshape(-1)]
    return np.concatenate(parts).astype(np.float32)


def _operands(node: Node, graph: Graph) -> tuple[F32, F32] | None:
    w, b = constant_input(node, graph, 1), constant_input(node, graph, 2)
    if w is None or w.size == 0:
        return None
    bias = np.zeros(w.shape[0], np.float32) if b is None else b.astype(np.float32).reshape(-1)
    return w.reshape(w.shape[0], -1).astype(np.float32), bias


def _conv(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    found = _operands(node, graph) if isinstance(op, ConvF32) else None
    if not isinstance(op, ConvF32) or found is None or target.fpu == "none":
        return None
    window = op.window
    x, y = in_and_out(node, graph)
    top, left, bottom, right = window.pads
    if (
        op.groups != 1
        or window.dilations != (1, 1)
        or found[0].shape[0] < 4
        # Every window must see some of the input, and none both sides.
        or max(top, bottom) >= window.kernel[0]
        or max(left, right) >= window.kernel[1]
        or x.shape[2] < window.kernel[1]
        or x.shape[1] < window.kernel[0]
    ):
        return None
    words = _blocks(*found, 4)
    relu = op.lo == 0 and op.hi == INF
    clamp = 1 if relu else 0 if (op.lo, op.hi) == (-INF, INF) else 2
    kernel = "nn_conv2d_f32_blocked"

    def write() -> Call:
        text = (
            f"{window_text(window, x.shape, y.shape)}\n"
            f"{kernel}(&p, {clamp}, {c_float(op.lo)}, {c_float(op.hi)}, x0, @stream@, y0);"
        )
        return Call((f"{kernel}.h",), (Constant("stream", "float", words),), text)

    return Plan(write)


def _dense(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    found = _operands(node, graph) if isinstance(op, DenseF32) else None
    if not isinstance(op, DenseF32) or found is None or target.fpu == "none":
        return None
    x, y = in_and_out(node, graph)
    rows, depth, cols = x.shape[0], x.shape[1], y.shape[1]
    if cols < 8:
        return None
    words = _blocks(*found, 8)
    clamp = int((op.lo, op.hi) != (-INF, INF))
    kernel = "nn_dense_f32_blocked"

    def write() -> Call:
        text = (
            f"{kernel}({rows}, {depth}, {cols}, {clamp}, {c_float(op.lo)}, {c_float(op.hi)}, "
            f"x0, @stream@, y0);"
        )
        return Call((f"{kernel}.h",), (Constant("stream", "float", words),), text)

    return Plan(write)


FAST = (planned("nn_conv2d_f32_blocked", _conv), planned("nn_dense_f32_blocked", _dense))
