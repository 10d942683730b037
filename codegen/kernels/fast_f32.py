# SPDX-License-Identifier: MIT
"""float32 convolutions and fully connected layers for cores with an FPU, in blocks."""

from __future__ import annotations

import numpy as np

from codegen.ir import F32, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_float, window_text
from codegen.kernels.conv import is_depthwise
from codegen.kernels.fast import Plan, planned
from codegen.kernels.overlap import channel_by_channel
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


def _fused(target: Target) -> tuple[str, ...]:
    """The define for cores on which a fused multiply-add is faster than its two halves: Cortex-M4
    and M33 take three cycles for it, and one for either alone."""
    return ("NN_FUSED",) if target.core == "m7" else ()


def _fused_blocks(target: Target) -> tuple[str, ...]:
    """The same for blocks in assembly. Also for the fewest instructions that Cortex-M4 can take."""
    fewest = target.core == "m4" and target.optimize == "speed"
    return ("NN_FUSED_BLOCKS",) if fewest or target.core == "m7" else ()


def _clamp(op: ConvF32) -> int:
    """How kernels name a clamp: 0 none, 1 at 0 from below, 2 any."""
    if (op.lo, op.hi) == (-INF, INF):
        return 0
    return 1 if (op.lo, op.hi) == (0, INF) else 2


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
    kernel = "nn_conv2d_f32_blocked"

    def write() -> Call:
        text = (
            f"{window_text(window, x.shape, y.shape)}\n"
            f"{kernel}(&p, {_clamp(op)}, {c_float(op.lo)}, {c_float(op.hi)}, x0, @stream@, y0);"
        )
        stream = Constant("stream", "float", words)
        return Call((f"{kernel}.h",), (stream,), text, _fused_blocks(target))

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
        stream = Constant("stream", "float", words)
        return Call((f"{kernel}.h",), (stream,), text, _fused_blocks(target))

    return Plan(write)


def _depthwise(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, ConvF32) or not is_depthwise(node, graph) or target.fpu == "none":
        return None
    found, window = _operands(node, graph), op.window
    # Padding is multiplied, too: infinite weights would make it NaN.
    if found is None or window.dilations != (1, 1) or not np.isfinite(found[0]).all():
        return None
    x, y = in_and_out(node, graph)
    height = (y.shape[1] - 1) * window.strides[0] + window.kernel[0]
    width = (y.shape[2] - 1) * window.strides[1] + window.kernel[1]
    if window.pads[0] >= height or window.pads[1] >= width:
        return None
    kernel = "nn_depthwise_f32_blocked"

    def write() -> Call:
        text = (
            f"{window_text(window, x.shape, y.shape, op.groups)}\n"
            f"{kernel}(&p, {height}, {width}, {_clamp(op)}, {c_float(op.lo)}, {c_float(op.hi)}, "
            "x0, @weights@, y0, scratch);"
        )
        words = np.concatenate([found[0].reshape(-1), found[1]])
        weights = Constant("weights", "float", words)
        return Call((f"{kernel}.h",), (weights,), text, _fused(target))

    return Plan(write, 4 * height * width, channel_by_channel(x, y))


FAST = (
    planned("nn_depthwise_f32_blocked", _depthwise),
    planned("nn_conv2d_f32_blocked", _conv),
    planned("nn_dense_f32_blocked", _dense),
)
