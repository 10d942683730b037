# SPDX-License-Identifier: MIT
"""A constant vector added to a MatMul or a Conv is its bias, as for ONNX Runtime."""

from __future__ import annotations

from math import prod

import numpy as np

from codegen.ir import Graph, Node, OnnxOp
from codegen.ops import View
from codegen.passes.edit import Edit
from codegen.passes.quants import literal


def merge_bias(graph: Graph) -> Graph:
    """Write `MatMul(x, W) + b` as `Gemm(x, W, b)` of matrices, and `Conv(x, W) + b` as one Conv."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not _merge(edit, node):
            edit.keep(node)
    return edit.done()


def _merge(edit: Edit, node: Node) -> bool:
    if not isinstance(node.op, OnnxOp) or node.op.type != "Add":
        return False
    for product, bias in (node.inputs, node.inputs[::-1]):
        maker = edit.maker(product)
        if maker is None or not isinstance(maker.op, OnnxOp) or not edit.only_use(product):
            continue
        if edit.tensors[node.outputs[0]].shape != edit.tensor(product).shape:
            continue
        if maker.op.type == "MatMul" and _is_row(edit, maker, bias):
            _emit_gemm(edit, maker, node, bias)
            return True
        if maker.op.type == "Conv" and (flat := _channels(edit, maker, bias)) is not None:
            edit.emit(maker.op, [*maker.inputs[:2], flat], node.outputs, maker, node)
            return True
    return False


def _is_row(edit: Edit, product: Node, bias: str) -> bool:
    """Whether `bias` is a constant along the last axis of a product with a constant matrix."""
    weights, vector = literal(edit, product.inputs[1]), literal(edit, bias)
    if weights is None or vector is None or len(weights.shape) != 2:
        return False
    size = prod(vector.shape)
    return size in (1, weights.shape[1]) and size == (vector.shape[-1] if vector.shape else 1)


def _channels(edit: Edit, conv: Node, bias: str) -> str | None:
    """The float constant `bias` [C, 1, 1] as a vector, if a float convolution has no bias yet."""
    data, weights = edit.constant(bias), edit.constant(conv.inputs[1])
    has_bias = len(conv.inputs) > 2 and conv.inputs[2]
    if data is None or weights is None or data.dtype != np.float32 or has_bias:
        return None
    shape = edit.tensor(conv.outputs[0]).shape
    wanted = (shape[1], *[1] * (len(shape) - 2))
    if data.shape not in (wanted, (1, *wanted)):
        return None
    return edit.new_constant(f"{bias}.vector", data.reshape(-1))


def _emit_gemm(edit: Edit, product: Node, add: Node, bias: str) -> None:
    source, output = edit.tensor(product.inputs[0]), edit.tensors[add.outputs[0]]
    op = OnnxOp("Gemm", {}, "", 13)
    if len(source.shape) == 2:
        edit.emit(op, [source.name, product.inputs[1], bias], add.outputs, product, add)
        return
    rows = prod(source.shape[:-1])
    flat = edit.activation(f"{source.name}.matrix", (rows, source.shape[-1]), source.dtype)
    result = edit.activation(f"{output.name}.matrix", (rows, output.shape[-1]), output.dtype)
    edit.emit(View(), [source.name], [flat], product, name=f"{product.name}.matrix")
    edit.emit(op, [flat, product.inputs[1], bias], [result], product, add)
    edit.emit(View(), [result], add.outputs, add, name=f"{add.name}.shape")
