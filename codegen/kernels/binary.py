# SPDX-License-Identifier: MIT
"""Element-wise operators of two inputs, with numpy broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from codegen.ir import F32, I32, Graph, Node, Tensor
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_array, c_float, c_struct
from codegen.kernels.fixed_point import NOTHING_BUT_DOUBT, doubt, fraction_bits, half_ulp
from codegen.kernels.reference import (
    Reference,
    constant_input,
    file_origin,
    in_and_out,
    is_op,
    op_of,
)
from codegen.ops import BinaryF32, BinaryKind, BinaryS8, PReluS8
from codegen.oracle import mlas

Axis = tuple[int, int, int]
"""Size of an output axis, and the steps of a and b along it."""


def _steps(shape: tuple[int, ...], out_shape: tuple[int, ...]) -> list[int]:
    """Elements that a row-major input of `shape` advances per index of each output axis."""
    padded = (1,) * (len(out_shape) - len(shape)) + shape
    steps: list[int] = []
    step = 1
    for size in reversed(padded):
        steps.append(step if size > 1 else 0)
        step *= size
    return steps[::-1]


def broadcast_axes(a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...]) -> list[Axis]:
    """The loops over `out`, neighbours merged where both inputs run through them in one stride."""
    axes: list[Axis] = []
    for size, a_step, b_step in zip(out, _steps(a, out), _steps(b, out), strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == a_step * size and axes[-1][2] == b_step * size:
            axes[-1] = (axes[-1][0] * size, a_step, b_step)
        else:
            axes.append((size, a_step, b_step))
    return axes


def broadcast_text(a: Tensor, b: Tensor, y: Tensor) -> str:
    """The `nn_broadcast p` of a layer, with axes of size 1 in front."""
    axes = broadcast_axes(a.shape, b.shape, y.shape)
    axes = [(1, 0, 0)] * (4 - len(axes)) + axes
    size, a_step, b_step = ([axis[i] for axis in axes] for i in range(3))
    fields = {"size": c_array(size), "a_step": c_array(a_step), "b_step": c_array(b_step)}
    return c_struct("nn_broadcast", "p", fields)


def operands(node: Node, graph: Graph, ctype: str) -> tuple[tuple[Constant, ...], str]:
    """The constant, if an input is one, and the spelling `a, b` of both inputs in the body."""
    constants: list[Constant] = []
    names: list[str] = []
    for index, suffix in enumerate("ab"):
        data = constant_input(node, graph, index)
        if data is None:
            names.append(f"x{len(names) - len(constants)}")
        else:
            constants.append(Constant(suffix, ctype, data))
            names.append(f"@{suffix}@")
    return tuple(constants), ", ".join(names)


def _fixed_sum(a_ratio: float, b_ratio: float, fixed: float, origin: int) -> dict[str, int]:
    """The int32 form of `nn_add`: see `fixed_point`.

    What is off: the three constants by 1/2 unit each (times 128 for the factors), and the float
    form that it stands for by one rounding per fused multiply-add.
    """
    inner = abs(fixed) + 256 * b_ratio
    largest = inner + 256 * a_ratio + origin + 1
    shift = fraction_bits(largest)
    if shift is None:
        return {"a_factor": 0, "b_factor": 0, **NOTHING_BUT_DOUBT}
    unit = 2.0**shift
    return {
        "a_factor": round(a_ratio * unit),
        "b_factor": round(b_ratio * unit),
        "offset": round((fixed + origin * (a_ratio + b_ratio - 1) + 0.5) * unit),
        "shift": shift,
        "doubt": doubt(128 / 2 + 128 / 2 + 1 / 2 + (half_ulp(inner) + half_ulp(largest)) * unit),
    }


def _add(op: BinaryS8) -> dict[str, int | float | str]:
    """The `nn_add` of QLinearAdd; every float operation rounds to float32."""
    a_ratio = np.float32(op.a_scale) / np.float32(op.out_scale)
    b_ratio = np.float32(op.b_scale) / np.float32(op.out_scale)
    origin = file_origin(op.unsigned)
    b_zero = b_ratio * np.float32(op.b_zp + origin)
    zero = mlas.fma(a_ratio, np.float32(op.a_zp + origin), b_zero)
    fixed = float(np.float32(op.out_zp + origin) - zero)
    return {
        "a_ratio": float(a_ratio), "b_ratio": float(b_ratio), "fixed": fixed,
        "lo": op.lo, "hi": op.hi, "origin": origin,
        **_fixed_sum(float(a_ratio), float(b_ratio), fixed, origin),
    }  # fmt: skip


def _fixed_product(ratio: float, out_zp: int) -> dict[str, int]:
    """The int32 form of `nn_mul`: see `fixed_point`.

    What is off: the factor by 1/2 unit times the largest product, the offset by 1/2; and the float
    form by the roundings of one product and one sum.
    """
    largest_product = 255 * 255 * ratio
    largest = largest_product + 256 + 1
    shift = fraction_bits(largest)
    if shift is None:
        return {"factor": 0, **NOTHING_BUT_DOUBT}
    unit = 2.0**shift
    rounding = half_ulp(largest_product) + half_ulp(largest)
    return {
        "factor": round(ratio * unit),
        "offset": round((out_zp + 0.5) * unit),
        "shift": shift,
        "doubt": doubt(255 * 255 / 2 + 1 / 2 + rounding * unit),
    }


def _mul(op: BinaryS8) -> dict[str, int | float | str]:
    """The `nn_mul` of QLinearMul."""
    ratio = float(np.float32(op.a_scale) * np.float32(op.b_scale) / np.float32(op.out_scale))
    return {
        "ratio": ratio, "a_zp": op.a_zp, "b_zp": op.b_zp, "out_zp": op.out_zp,
        "origin": file_origin(op.unsigned), "lo": op.lo, "hi": op.hi,
        **_fixed_product(ratio, op.out_zp),
    }  # fmt: skip


def _fixed_difference(op: BinaryS8) -> dict[str, int]:
    """The int32 form of `nn_sub`: see `fixed_point`.

    What is off: the factors by 1/2 unit times 255, the offset by 1/2; and the float form by the
    roundings of two products, one difference, and one quotient.
    """
    a_ratio, b_ratio = op.a_scale / op.out_scale, op.b_scale / op.out_scale
    difference = 256 * (a_ratio + b_ratio)
    shift = fraction_bits(2 * difference + 256 + 1)
    if shift is None:
        return {"a_factor": 0, "b_factor": 0, **NOTHING_BUT_DOUBT}
    unit = 2.0**shift
    a_factor, b_factor = round(a_ratio * unit), round(b_ratio * unit)
    terms = half_ulp(256 * op.a_scale) + half_ulp(256 * op.b_scale)
    terms += half_ulp(256 * (op.a_scale + op.b_scale))
    return {
        "a_factor": a_factor,
        "b_factor": b_factor,
        "offset": round((op.out_zp + 0.5) * unit) - a_factor * op.a_zp + b_factor * op.b_zp,
        "shift": shift,
        "doubt": doubt(256 + 1 / 2 + (terms / op.out_scale + half_ulp(difference)) * unit),
    }


def _sub(op: BinaryS8) -> dict[str, int | float | str]:
    """The `nn_sub` of Sub in float32."""
    return {
        "a_scale": op.a_scale, "b_scale": op.b_scale, "out_scale": op.out_scale,
        "a_zp": op.a_zp, "b_zp": op.b_zp, "out_zp": op.out_zp, "lo": op.lo, "hi": op.hi,
        **_fixed_difference(op),
    }  # fmt: skip


_PARAMETERS: Mapping[BinaryKind, Callable[[BinaryS8], Mapping[str, int | float | str]]] = {
    "add": _add,
    "mul": _mul,
    "sub": _sub,
}


def binary_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, BinaryS8)
    a, y = in_and_out(node, graph)
    b = graph.tensors[node.inputs[1]]
    constants, names = operands(node, graph, "int8_t")
    kernel = f"nn_{op.kind}_s8"
    body = "\n".join(
        (
            broadcast_text(a, b, y),
            c_struct(f"nn_{op.kind}", "q", _PARAMETERS[op.kind](op)),
            f"{kernel}(&p, &q, {names}, y0);",
        )
    )
    return Call((f"{kernel}.h",), constants, body)


def _fixed_prelu(op: PReluS8, slope: F32) -> tuple[dict[str, int], I32]:
    """The int32 form of `nn_prelu`, see `fixed_point`, and its factor per slope.

    What is off: a factor by 1/2 unit times 255, the offset by 1/2; and the float form by the
    roundings of two products and one quotient.
    """
    ratio, steepest = op.in_scale / op.out_scale, max(1.0, float(np.abs(slope).max()))
    largest = 255 * ratio * steepest
    shift = fraction_bits(largest + 256 + 1)
    if shift is None or not np.isfinite(largest):
        return {"pass_factor": 0, **NOTHING_BUT_DOUBT}, np.zeros(slope.shape, np.int32)
    unit = 2.0**shift
    real = 255 * op.in_scale
    terms = steepest * half_ulp(real) + half_ulp(steepest * real)
    fields = {
        "pass_factor": round(ratio * unit),
        "offset": round((op.out_zp + 0.5) * unit),
        "shift": shift,
        "doubt": doubt(255 / 2 + 1 / 2 + (terms / op.out_scale + half_ulp(largest)) * unit),
    }
    return fields, np.rint(slope.astype(np.float64) * (ratio * unit)).astype(np.int32)


def prelu_s8(node: Node, graph: Graph) -> Call:
    op = op_of(node, PReluS8)
    x, y = in_and_out(node, graph)
    slope = np.asarray(constant_input(node, graph, 1), np.float32)
    fixed, factors = _fixed_prelu(op, slope)
    fields: dict[str, int | float | str] = {
        "in_scale": op.in_scale, "out_scale": op.out_scale, "in_zp": op.in_zp,
        "out_zp": op.out_zp, "lo": op.lo, "hi": op.hi, **fixed,
    }  # fmt: skip
    body = "\n".join(
        (
            broadcast_text(x, graph.tensors[node.inputs[1]], y),
            c_struct("nn_prelu", "q", fields),
            "nn_prelu_s8(&p, &q, x0, @slope@, @factor@, y0);",
        )
    )
    constants = Constant("slope", "float", slope), Constant("factor", "int32_t", factors)
    return Call(("nn_prelu_s8.h",), constants, body)


def binary_f32(node: Node, graph: Graph) -> Call:
    op = op_of(node, BinaryF32)
    a, y = in_and_out(node, graph)
    b = graph.tensors[node.inputs[1]]
    constants, names = operands(node, graph, "float")
    clamp = f"{c_float(op.lo)}, {c_float(op.hi)}"
    body = (
        f"{broadcast_text(a, b, y)}\nnn_binary_f32(NN_{op.kind.upper()}, &p, {clamp}, {names}, y0);"
    )
    return Call(("nn_binary_f32.h",), constants, body)


def _is_s8(kind: BinaryKind) -> Reference:
    return Reference(
        f"nn_{kind}_s8",
        lambda node, graph: isinstance(node.op, BinaryS8) and node.op.kind == kind,
        binary_s8,
        in_place=True,
    )


REFERENCES = (
    _is_s8("add"),
    _is_s8("mul"),
    _is_s8("sub"),
    Reference("nn_prelu_s8", is_op(PReluS8), prelu_s8, in_place=True),
    Reference("nn_binary_f32", is_op(BinaryF32), binary_f32, in_place=True),
)
