# SPDX-License-Identifier: MIT
"""Fold BatchNormalization into the weights before it, else make it a scale and a shift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from codegen.ir import Array, Graph, Node, OnnxOp
from codegen.passes.attributes import integer, real
from codegen.passes.edit import Edit
from codegen.passes.quants import real_literal

F64 = npt.NDArray[np.float64]


def fold_batchnorm(graph: Graph) -> Graph:
    """`gamma * (x - mean) / sqrt(var + eps) + beta` costs nothing after constant float weights."""
    edit = Edit(graph)
    for node in graph.nodes:
        op = node.op
        if isinstance(op, OnnxOp) and op.type == "BatchNormalization":
            _lower(edit, node, op)
        else:
            edit.keep(node)
    return edit.done()


def _lower(edit: Edit, node: Node, op: OnnxOp) -> None:
    parameters = [real_literal(edit, name) for name in node.inputs[1:5]]
    if any(p is None for p in parameters) or integer(op, "training_mode", 0):
        edit.refuse(node, "its parameters are not constant", "export in inference mode")
        return
    gamma, beta, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    scale = gamma / np.sqrt(variance + real(op, "epsilon", 1e-5))
    shift = beta - mean * scale
    maker = edit.maker(node.inputs[0])
    if maker is not None and edit.only_use(node.inputs[0]) and isinstance(maker.op, OnnxOp):
        folded = _folded(edit, maker, maker.op, scale, shift)
        if folded is not None:
            edit.emit(folded.op, folded.inputs, node.outputs[:1], maker, node)
            return
    _emit_affine(edit, node, scale, shift)


def _folded(edit: Edit, maker: Node, op: OnnxOp, scale: F64, shift: F64) -> Node | None:
    """The operator `maker` with scale and shift in its weights and bias; None when it has none."""
    if op.type not in ("Conv", "Gemm", "MatMul"):
        return None
    weights = edit.constant(maker.inputs[1])
    if weights is None or weights.dtype != np.float32:
        return None
    bias: Array | None = np.zeros(1, np.float32)
    if len(maker.inputs) > 2 and maker.inputs[2]:
        bias = edit.constant(maker.inputs[2])
    if bias is None or bias.size not in (1, scale.size):
        return None
    if op.type == "Conv":
        shape: tuple[int, ...] = (-1, *[1] * (weights.ndim - 1))
    elif weights.ndim != 2 or len(edit.tensor(maker.inputs[0]).shape) != 2:
        return None
    else:
        shape = (-1, 1) if integer(op, "transB", 0) else (1, -1)
    new_weights = weights.astype(np.float64) * scale.reshape(shape)
    new_bias = bias.reshape(-1).astype(np.float64) * scale * real(op, "beta", 1.0) + shift
    inputs = (
        maker.inputs[0],
        edit.new_constant(f"{maker.inputs[1]}.bn", new_weights.astype(np.float32)),
        edit.new_constant(f"{maker.name}.bn_bias", new_bias.astype(np.float32)),
    )
    kind = "Conv" if op.type == "Conv" else "Gemm"
    attrs = {**op.attrs, "beta": 1.0} if kind == "Gemm" else op.attrs
    return replace(maker, op=OnnxOp(kind, attrs, "", op.opset), inputs=inputs)


def _emit_affine(edit: Edit, node: Node, scale: F64, shift: F64) -> None:
    """`x * scale + shift` along axis 1."""
    output = edit.tensor(node.outputs[0])
    shape = (-1, *[1] * (len(output.shape) - 2))
    s = edit.new_constant(f"{node.name}.scale", scale.astype(np.float32).reshape(shape))
    t = edit.new_constant(f"{node.name}.shift", shift.astype(np.float32).reshape(shape))
    scaled = edit.activation(f"{output.name}.scaled", output.shape, output.dtype)
    edit.emit(OnnxOp("Mul"), [node.inputs[0], s], [scaled], node)
    edit.emit(OnnxOp("Add"), [scaled, t], node.outputs[:1], node, name=f"{node.name}.shift")
