# SPDX-License-Identifier: MIT
"""Check all scales and zero points of a loaded graph and note them on their tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.errors import ModelError, Problem
from codegen.ir import F32, Graph, Node, OnnxOp, Quant, Tensor

_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int32": (0, 0)}
"""Allowed zero points; ONNX wants 0 for an int32 tensor."""

_PARAMETERS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "QLinearConv": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
}
"""(tensor, scale, zero point) input positions; -1 is output 0."""


def check_quantization(graph: Graph) -> Graph:
    """`graph` with `Tensor.quant` set where a node states it. Raises ModelError, all at once."""
    tensors = dict(graph.tensors)
    problems: list[Problem] = []
    for node in graph.nodes:
        op = node.op
        assert isinstance(op, OnnxOp)
        if op.type == "QuantizeLinear":
            places: tuple[tuple[int, int, int], ...] = ((-1, 1, 2),)
        elif op.type == "DequantizeLinear":
            places = ((0, 1, 2),)
        else:
            places = _PARAMETERS.get(op.type, ())
        for position, scale, zero_point in places:
            name = node.outputs[0] if position < 0 else node.inputs[position]
            found = _quant(graph, node, op, tensors[name], scale, zero_point)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                tensors[name] = replace(tensors[name], quant=found)
    if problems:
        raise ModelError(*problems)
    return replace(graph, tensors=tensors)


def _quant(
    graph: Graph, node: Node, op: OnnxOp, tensor: Tensor, scale_at: int, zp_at: int
) -> Quant | Problem:
    where = f"node {node.name!r} ({op.type})"
    zp_name = node.inputs[zp_at] if zp_at < len(node.inputs) else ""
    scale = graph.constant(node.inputs[scale_at])
    zero_point = graph.constant(zp_name)
    if scale is None or (zp_name and zero_point is None):
        return Problem(
            "its scale or zero point is computed at run time", where, "quantize statically"
        )
    if scale.dtype != np.float32:
        return Problem(f"its scale has type {scale.dtype}, not float32", where)
    scales: F32 = scale.astype(np.float32)
    if not np.isfinite(scales).all():
        return Problem("its scale is NaN or infinite", where)
    # Real converters write negative scales for weights (and their bias); the arithmetic bears them.
    if not scales.all() or (tensor.data is None and (scales < 0).any()):
        return Problem(f"its scale is {scales.min()}; it must be positive", where)
    if op.attrs.get("block_size"):
        return Problem("blocked quantization is not supported", where)
    if zero_point is None:
        zero_point = np.zeros(scales.shape, np.int32)
    if tensor.dtype not in _LIMITS:
        return Problem(f"quantization to {tensor.dtype} is not supported", where)
    low, high = _LIMITS[tensor.dtype]
    if (zero_point.astype(np.int64) < low).any() or (zero_point.astype(np.int64) > high).any():
        return Problem(f"its zero point is out of range for {tensor.dtype} ({low}..{high})", where)
    if scales.size == 1 and zero_point.size == 1:
        return Quant(scales.reshape(()), zero_point.astype(np.int32).reshape(()))
    if scales.shape != zero_point.shape or scales.ndim != 1:
        return Problem("its scale and zero point differ in shape", where)
    axis = op.attrs.get("axis", 1)
    assert isinstance(axis, int)
    if op.type == "QLinearConv":
        axis = 0
    elif op.type == "QLinearMatMul":
        axis = len(tensor.shape) - 1
    axis = axis + len(tensor.shape) if axis < 0 else axis
    if not 0 <= axis < len(tensor.shape) or tensor.shape[axis] != scales.size:
        return Problem(
            f"it has {scales.size} scales for axis {axis} of the shape {list(tensor.shape)}", where
        )
    return Quant(scales, zero_point.astype(np.int32), axis)
