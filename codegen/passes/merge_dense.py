# SPDX-License-Identifier: MIT
"""MatMul followed by the Add of a constant vector is a Gemm, as ONNX Runtime also merges them."""

from __future__ import annotations

from math import prod

from codegen.ir import Graph, Node, OnnxOp
from codegen.ops import View
from codegen.passes.edit import Edit
from codegen.passes.quants import literal


def merge_dense(graph: Graph) -> Graph:
    """Write `MatMul(x, W) + b` as `Gemm(x, W, b)`, with x and the result as matrices."""
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
        if maker is None or not isinstance(maker.op, OnnxOp) or maker.op.type != "MatMul":
            continue
        weights, vector = literal(edit, maker.inputs[1]), literal(edit, bias)
        if weights is None or vector is None or not edit.only_use(product):
            continue
        output = edit.tensors[node.outputs[0]]
        if len(weights.shape) != 2 or prod(vector.shape) not in (1, weights.shape[1]):
            continue
        if prod(vector.shape) != (vector.shape[-1] if vector.shape else 1):
            continue
        if output.shape != edit.tensor(product).shape:
            continue
        _emit_gemm(edit, maker, node, bias)
        return True
    return False


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
