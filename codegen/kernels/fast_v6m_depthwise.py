# SPDX-License-Identifier: MIT
"""int8 depthwise convolutions for cores without the DSP extension, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.ir import I8, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_struct
from codegen.kernels.conv import is_depthwise
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_v6m import Operands, Records, end_fields, end_records, is_target, operands
from codegen.kernels.overlap import channel_by_channel
from codegen.kernels.reference import in_and_out
from codegen.ops import ConvS8, Window
from codegen.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What all of these kernels need of a layer: weights [Co,Kh,Kw] among `operands`."""

    window: Window
    operands: Operands
    records: Records
    fields: dict[str, int | float | str]


def _layer(node: Node, graph: Graph, target: Target) -> _Layer | None:
    """A depthwise convolution without dilation, its columns 1 or 2 apart, where sums fit."""
    op = node.op
    if not isinstance(op, ConvS8) or not is_target(target, op) or not is_depthwise(node, graph):
        return None
    window = op.window
    found = operands(node, graph)
    if found is None or window.dilations != (1, 1) or window.strides[1] > 2:
        return None
    lead = 128 * found.w.reshape(len(found.w), -1).sum(axis=1)
    records = end_records(op.requant, found.w, found.bias, lead, target)
    if records is None:
        return None
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    fields: dict[str, int | float | str] = {
        "batch": batch, "in_h": in_h, "in_w": in_w, "in_c": in_c,
        "out_h": out_h, "out_w": out_w, "per_in": out_c // in_c,
        "stride_h": window.strides[0], "stride_w": window.strides[1],
        "pad_top": window.pads[0], "pad_left": window.pads[1],
        "in_zp": op.requant.in_zp, "w_zp": found.zp, **end_fields(op.requant, records.low_shift),
    }  # fmt: skip
    return _Layer(window, found, records, fields)


def _plan(
    node: Node, graph: Graph, layer: _Layer, kernel: str, width: int, extra_bytes: int,
    weights: I8, strips: str = "",
) -> Plan | None:  # fmt: skip
    """A plan over planes of this width; `strips` is what else the kernel is told."""
    x, y = in_and_out(node, graph)
    height = (y.shape[1] - 1) * layer.window.strides[0] + layer.window.kernel[0]
    if layer.window.pads[0] >= height or layer.window.pads[1] >= width:
        return None

    def write() -> Call:
        planes = c_struct("nn_planes_v6m", "p", layer.fields | {"height": height, "width": width})
        second = ", &s" if strips else ""
        call = f"{kernel}(&p{second}, x0, @weights@, @records@, y0, scratch);"
        constants = (
            Constant("weights", "int8_t", weights),
            Constant("records", "int32_t", layer.records.words),
        )
        body = "\n".join(filter(None, (planes, strips, call)))
        return Call((f"{kernel}.h",), constants, body, layer.records.defines)

    return Plan(write, height * width + extra_bytes, channel_by_channel(x, y))


def _plan3x3(node: Node, graph: Graph, target: Target) -> Plan | None:
    layer = _layer(node, graph, target)
    if layer is None or layer.window.kernel != (3, 3) or len(set(layer.window.strides)) > 1:
        return None
    width = (in_and_out(node, graph)[1].shape[2] - 1) * layer.window.strides[1] + 3
    weights = layer.operands.stored.reshape(-1, 9)
    return _plan(node, graph, layer, "nn_depthwise_s8_v6m3x3", width, 0, weights)


def strips_of(kernel_w: int) -> tuple[int, int, int]:
    """A window as so many strips of 3, 5 or 7 columns, and so many of two; a single column is two.

    Returns the width of the first ones, their number, and the number of the others.
    """
    if kernel_w in (5, 7):
        return kernel_w, 1, 0
    twos = (0, 2, 1)[kernel_w % 3] if kernel_w > 1 else 1
    return 3, (max(kernel_w, 2) - 2 * twos) // 3, twos


def _plan_any(node: Node, graph: Graph, target: Target) -> Plan | None:
    layer = _layer(node, graph, target)
    if layer is None:
        return None
    rows, kernel_w = layer.window.kernel
    wide, count, twos = strips_of(kernel_w)
    filled_w = wide * count + 2 * twos
    width = (max(in_and_out(node, graph)[1].shape[2], 4) - 1) * layer.window.strides[1] + filled_w
    stored = layer.operands.stored.reshape(-1, rows, kernel_w)
    filled = np.pad(
        stored, ((0, 0), (0, 0), (0, filled_w - kernel_w)), constant_values=layer.operands.zp
    )
    cuts = np.cumsum([wide] * count + [2] * twos)[:-1]
    strips = [s.reshape(len(filled), -1) for s in np.split(filled, cuts, axis=2)]
    fields: dict[str, int | float | str] = {
        "rows": rows, "wide": wide, "count": count, "twos": twos, "row_step": width,
    }  # fmt: skip
    return _plan(
        node, graph, layer, "nn_depthwise_s8_v6m", width, 4 * rows * filled_w,
        np.concatenate(strips, axis=1), c_struct("nn_strips_v6m", "s", fields),
    )  # fmt: skip


FAST = (planned("nn_depthwise_s8_v6m3x3", _plan3x3), planned("nn_depthwise_s8_v6m", _plan_any))
