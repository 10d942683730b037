# SPDX-License-Identifier: MIT
"""Pooling over H and W."""

from __future__ import annotations

import numpy as np

from codegen.ir import Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.c_text import c_float, c_struct, requant_text, window_text
from codegen.kernels.fixed_point import NOTHING_BUT_DOUBT, doubt, fraction_bits, half_ulp
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.reference import Reference, file_origin, in_and_out, is_op, op_of
from codegen.ops import AvgPoolF32, AvgPoolS8, MaxPool, Requant


def maxpool(node: Node, graph: Graph) -> Call:
    op = op_of(node, MaxPool)
    x, y = in_and_out(node, graph)
    kernel = f"nn_maxpool_{'s8' if x.dtype == 'int8' else 'f32'}"
    body = f"{window_text(op.window, x.shape, y.shape)}\n{kernel}(&p, x0, y0);"
    return Call((f"{kernel}.h",), (), body)


def _fixed_mean(op: AvgPoolS8) -> dict[str, int]:
    """The int32 form of `nn_mean` for a whole window: see `fixed_point`.

    What is off: the factor by 1/2 unit times the largest sum, the offset by 1/2; and the float form
    that it stands for by the rounding of each term and partial sum, two divisions and one addition.
    """
    count = op.window.kernel[0] * op.window.kernel[1]
    ratio = op.in_scale / op.out_scale
    largest_mean = 256 * ratio
    largest = largest_mean + 256 + 1
    shift = fraction_bits(largest)
    if shift is None:
        return {"factor": 0, **NOTHING_BUT_DOUBT}
    unit = 2.0**shift
    factor = round(ratio / count * unit)
    if factor * 256 * count >= 2**31:
        return {"factor": 0, **NOTHING_BUT_DOUBT}
    terms = half_ulp(256 * op.in_scale) + half_ulp(256 * op.in_scale * count)
    rounding = terms / op.out_scale + 4 * half_ulp(largest_mean) + half_ulp(largest)
    return {
        "factor": factor,
        "offset": round((op.out_zp + 0.5) * unit) - factor * count * op.in_zp,
        "shift": shift,
        "doubt": doubt(256 * count / 2 + 1 / 2 + rounding * unit),
    }


def avgpool_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, AvgPoolS8)
    x, y = in_and_out(node, graph)
    mean = c_struct(
        "nn_mean",
        "q",
        {
            "in_scale": op.in_scale, "out_scale": op.out_scale,
            "in_zp": op.in_zp, "out_zp": op.out_zp,
            "lo": op.lo, "hi": op.hi, "pads_count": int(op.count_include_pad),
            "early_zp": int(op.form == "window"), "origin": file_origin(op.unsigned),
            **_fixed_mean(op),
        },
    )  # fmt: skip
    body = f"{window_text(op.window, x.shape, y.shape)}\n{mean}\nnn_avgpool_s8(&p, &q, x0, y0);"
    return Call(("nn_avgpool_s8.h",), (), body)


def packed_mean_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, AvgPoolS8)
    x, y = in_and_out(node, graph)
    mean = c_struct(
        "nn_packed_mean",
        "q",
        {
            "in_scale": op.in_scale, "out_scale": op.out_scale,
            "in_zp": op.in_zp, "out_zp": op.out_zp, "lo": op.lo, "hi": op.hi,
        },
    )  # fmt: skip
    sizes = f"{y.shape[0]}, {y.shape[1]}, {x.shape[1] // y.shape[1] * x.shape[2]}, {x.shape[3]}"
    body = f"{mean}\nnn_packed_mean_s8({sizes}, &q, x0, y0);"
    return Call(("nn_packed_mean_s8.h",), (), body)


def global_avgpool_s8(node: Node, graph: Graph, kernel: str = "nn_global_avgpool_s8") -> Call:
    op = op_of(node, AvgPoolS8)
    x, _ = in_and_out(node, graph)
    pixels = x.shape[1] * x.shape[2]
    multiplier = np.float32(op.in_scale) / (np.float32(op.out_scale) * np.float32(pixels))
    requant = Requant(np.array([multiplier], np.float32), op.in_zp, op.out_zp, op.lo, op.hi)
    sizes = f"{x.shape[0]}, {pixels}, {x.shape[3]}"
    body = f"{requant_text(requant)}\n{kernel}({sizes}, &q, {c_float(float(multiplier))}, x0, y0);"
    return Call((f"{kernel}.h",), (), body)


def avgpool_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, AvgPoolF32)
    x, y = in_and_out(node, graph)
    ends = f"{op.window.pads[2]}, {op.window.pads[3]}, {int(op.count_include_pad)}"
    clamp = f"{c_float(op.lo)}, {c_float(op.hi)}"
    body = (
        f"{window_text(op.window, x.shape, y.shape)}\nnn_avgpool_f32(&p, {ends}, {clamp}, x0, y0);"
    )
    return Call(("nn_avgpool_f32.h",), (), body)


def _is_maxpool(dtype: str) -> Reference:
    return Reference(
        f"nn_maxpool_{'s8' if dtype == 'int8' else 'f32'}",
        lambda node, graph: (
            isinstance(node.op, MaxPool) and graph.tensors[node.inputs[0]].dtype == dtype
        ),
        maxpool,
        nearest=pixel_by_pixel,
    )


REFERENCES = (
    _is_maxpool("int8"),
    _is_maxpool("float32"),
    Reference(
        "nn_global_avgpool_s8",
        lambda node, graph: isinstance(node.op, AvgPoolS8) and node.op.form == "global",
        global_avgpool_s8,
    ),
    Reference(
        "nn_packed_mean_s8",
        lambda node, graph: isinstance(node.op, AvgPoolS8) and node.op.form == "packed",
        packed_mean_s8,
    ),
    Reference("nn_avgpool_s8", is_op(AvgPoolS8), avgpool_s8, nearest=pixel_by_pixel),
    Reference("nn_avgpool_f32", is_op(AvgPoolF32), avgpool_f32, nearest=pixel_by_pixel),
)
