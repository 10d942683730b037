# SPDX-License-Identifier: MIT
"""ONNX nodes that are a function of one varying input, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.ir import F32, Node, OnnxOp
from codegen.ops import BinaryF32, UnaryF32
from codegen.oracle.elementwise import binary_f32, unary_f32
from codegen.passes.attributes import real, text
from codegen.passes.edit import Edit
from codegen.passes.quants import clip_range, real_literal


def unary_op(edit: Edit, node: Node) -> UnaryF32 | None:
    """What a unary node computes; None for any other, or with parameters that vary."""
    op = node.op
    assert isinstance(op, OnnxOp)
    match op.type:
        case "Relu" | "Clip":
            limits = clip_range(edit, node)
            return UnaryF32("clip", *limits) if limits is not None else None
        case "PRelu":
            slope = real_literal(edit, node.inputs[1])
            if slope is None or slope.size != 1:
                return None
            return UnaryF32("leakyrelu", float(slope.reshape(())))
        case "LeakyRelu":
            return UnaryF32("leakyrelu", real(op, "alpha", 0.01))
        case "HardSigmoid":
            return UnaryF32("hardsigmoid", real(op, "alpha", 0.2), real(op, "beta", 0.5))
        case "Gelu":
            tanh = text(op, "approximate", "none") == "tanh"
            return UnaryF32("gelu_tanh" if tanh else "gelu")
        case "HardSwish" | "Sigmoid" | "Tanh" | "Erf":
            return UnaryF32(op.type.lower())  # type: ignore[arg-type]
    return None


def function_of(edit: Edit, node: Node) -> tuple[str, str, Callable[[F32], F32]] | None:
    """(kind, varying input, function) of a unary node, or of a sum, difference, product or quotient
    with a constant number; else None."""
    assert isinstance(node.op, OnnxOp)
    unary = unary_op(edit, node)
    if unary is not None:
        return unary.kind, node.inputs[0], lambda x: unary_f32(unary, x.shape, x)
    if node.op.type not in ("Add", "Sub", "Mul", "Div"):
        return None
    binary = BinaryF32(node.op.type.lower())  # type: ignore[arg-type]
    shape = edit.tensor(node.outputs[0]).shape
    for place, name in enumerate(node.inputs):
        number, other = real_literal(edit, name), node.inputs[1 - place]
        if number is None or number.size != 1 or edit.tensor(other).shape != shape:
            continue
        return binary.kind, other, _with_number(binary, number.reshape(1), place)
    return None


def _with_number(op: BinaryF32, number: F32, place: int) -> Callable[[F32], F32]:
    if place == 0:
        return lambda x: binary_f32(op, x.shape, number, x)
    return lambda x: binary_f32(op, x.shape, x, number)


def exact_reciprocal(divisor: F32) -> F32 | None:
    """1 / divisor where multiplying by it gives the same bits: for powers of two."""
    mantissa, exponent = np.frexp(divisor)
    if (np.abs(mantissa) != 0.5).any() or (np.abs(exponent) > 100).any():
        return None
    return (np.float32(1) / divisor).astype(np.float32)
