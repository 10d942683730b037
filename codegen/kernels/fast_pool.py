# SPDX-License-Identifier: MIT
"""Pooling with windows clipped once per pixel, several int8 channels at a time where cores can."""

from __future__ import annotations

from codegen.ir import DType, Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.c_text import window_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.pool import global_avgpool_s8
from codegen.kernels.reference import in_and_out
from codegen.ops import AvgPoolS8, MaxPool
from codegen.target import Target


def _maxpool(node: Node, graph: Graph, dtype: DType, kernel: str) -> Plan | None:
    op = node.op
    x, y = in_and_out(node, graph)
    if not isinstance(op, MaxPool) or x.dtype != dtype or op.window.dilations != (1, 1):
        return None
    body = f"{window_text(op.window, x.shape, y.shape)}\n{kernel}(&p, x0, y0);"
    return Plan(lambda: Call((f"{kernel}.h",), (), body), 0, pixel_by_pixel(node, graph))


def _maxpool_dsp(node: Node, graph: Graph, target: Target) -> Plan | None:
    return _maxpool(node, graph, "int8", "nn_maxpool_s8_dsp") if target.dsp else None


def _maxpool_v6m(node: Node, graph: Graph, target: Target) -> Plan | None:
    return None if target.dsp else _maxpool(node, graph, "int8", "nn_maxpool_s8_v6m")


def _maxpool_f32(node: Node, graph: Graph, target: Target) -> Plan | None:
    return _maxpool(node, graph, "float32", "nn_maxpool_f32_clipped")


def _global_avgpool_dsp(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, AvgPoolS8) or op.form != "global" or not target.dsp:
        return None
    return Plan(lambda: global_avgpool_s8(node, graph, "nn_global_avgpool_s8_dsp"))


FAST_DSP = (
    planned("nn_maxpool_s8_dsp", _maxpool_dsp),
    planned("nn_global_avgpool_s8_dsp", _global_avgpool_dsp),
    planned("nn_maxpool_f32_clipped", _maxpool_f32),
)
FAST_V6M = (planned("nn_maxpool_s8_v6m", _maxpool_v6m),)
