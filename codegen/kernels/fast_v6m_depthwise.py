# SPDX-License-Identifier: MIT
"""int8 depthwise 3x3 convolutions for cores without the DSP extension, channel by channel."""

from __future__ import annotations

import numpy as np

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant, Overlap
from codegen.kernels.c_text import c_struct
from codegen.kernels.conv import is_depthwise
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_v6m import end_fields, end_records, is_target, weights_and_bias
from codegen.kernels.reference import in_and_out
from codegen.ops import ConvS8
from codegen.target import Target


def _plan3x3(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, ConvS8) or op.w_zp is not None or not is_target(target):
        return None
    window = op.window
    if (
        not is_depthwise(node, graph)
        or window.kernel != (3, 3)
        or window.dilations != (1, 1)
        or window.strides not in ((1, 1), (2, 2))
    ):
        return None
    operands = weights_and_bias(node, graph)
    if operands is None:
        return None
    w, bias = operands
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    stride, (pad_top, pad_left) = window.strides[0], window.pads[:2]
    height, width = (out_h - 1) * stride + 3, (out_w - 1) * stride + 3
    if pad_top >= height or pad_left >= width:
        return None
    lead = 128 * w.reshape(out_c, 9).astype(np.int64).sum(axis=1)
    records = end_records(op.requant, w, bias, lead)
    if records is None:
        return None
    words, low_shift = records
    kernel, requant = "nn_depthwise_s8_v6m3x3", op.requant

    def write() -> Call:
        fields: dict[str, int | float | str] = {
            "batch": batch, "in_h": in_h, "in_w": in_w, "in_c": in_c,
            "out_h": out_h, "out_w": out_w, "per_in": out_c // in_c,
            "stride": stride, "pad_top": pad_top, "pad_left": pad_left,
            "height": height, "width": width, "in_zp": requant.in_zp,
        }  # fmt: skip
        planes = c_struct("nn_planes_v6m", "p", fields | end_fields(requant, low_shift))
        body = f"{planes}\n{kernel}(&p, x0, @weights@, @records@, y0, scratch);"
        constants = (
            Constant("weights", "int8_t", w.reshape(out_c, 9)),
            Constant("records", "int32_t", words),
        )
        return Call((f"{kernel}.h",), constants, body)

    return Plan(write, height * width, (Overlap(0, 0),) if x.shape == y.shape else ())


FAST = (planned("nn_depthwise_s8_v6m3x3", _plan3x3),)
