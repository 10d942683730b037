# SPDX-License-Identifier: MIT
"""Compute at build time what does not depend on the input; Identity and Dropout vanish."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.errors import ModelError, Problem
from codegen.ir import Array, Graph, Node, OnnxOp
from codegen.passes.edit import Edit


def fold_constants(graph: Graph) -> Graph:
    """Nodes whose inputs are all constant become constants, except DequantizeLinear.

    A dequantized constant stays a pair, because the integer operators want its integers.
    """
    edit = Edit(graph)
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, OnnxOp):
            edit.keep(node)
        elif op.type == "Identity" or (op.type == "Dropout" and _is_idle(edit, node)):
            edit.replace(node.outputs[0], node.inputs[0])
        elif op.type == "Shape":
            _define(edit, node, _shape(edit, node, op))
        elif op.type != "DequantizeLinear" and _all_constant(edit, node):
            for name, value in zip(node.outputs, _evaluate(edit, node, op), strict=True):
                if name:
                    edit.replace(name, edit.new_constant(f"{name}.folded", value))
        else:
            edit.keep(node)
    return edit.done()


def _define(edit: Edit, node: Node, value: Array) -> None:
    edit.replace(node.outputs[0], edit.new_constant(f"{node.outputs[0]}.folded", value))


def _is_idle(edit: Edit, node: Node) -> bool:
    """Whether a Dropout only passes its input on: not in training, and nobody reads the mask."""
    training = node.inputs[2] if len(node.inputs) > 2 else ""
    mode = edit.constant(training)
    if training and (mode is None or mode.any()):
        edit.refuse(node, "is in training mode", "export in inference mode")
    used = {name for other in edit.graph.nodes for name in other.inputs} | set(edit.graph.outputs)
    if any(name in used for name in node.outputs[1:] if name):
        edit.refuse(node, "its mask output is not supported")
    return True


def _all_constant(edit: Edit, node: Node) -> bool:
    return all(edit.constant(name) is not None for name in node.inputs if name)


def _shape(edit: Edit, node: Node, op: OnnxOp) -> Array:
    shape = edit.tensor(node.inputs[0]).shape
    start, end = op.attrs.get("start", 0), op.attrs.get("end", len(shape))
    assert isinstance(start, int) and isinstance(end, int)
    return np.array(shape[start:end], np.int64)


def _evaluate(edit: Edit, node: Node, op: OnnxOp) -> list[Array]:
    """Run one node with ONNX's reference implementation, imported only where it is needed."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    attrs: dict[str, Any] = {k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v
             for k, v in op.attrs.items()}  # fmt: skip
    proto = onnx.helper.make_node(op.type, node.inputs, node.outputs, domain=op.domain, **attrs)
    feeds = {name: edit.constant(name) for name in node.inputs if name}
    untyped = onnx.TypeProto()
    inputs = [onnx.helper.make_value_info(name, untyped) for name in feeds]
    outputs = [onnx.helper.make_value_info(name, untyped) for name in node.outputs if name]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([proto], "fold", inputs, outputs),
        opset_imports=[onnx.helper.make_opsetid(op.domain, op.opset)],
    )
    try:
        values = iter(ReferenceEvaluator(model).run(None, feeds))
    except Exception as error:
        raise ModelError(
            Problem(f"cannot be computed at build time: {error}", f"node {node.name!r} ({op.type})")
        ) from error
    return [np.asarray(next(values)) if name else np.zeros(0) for name in node.outputs]
