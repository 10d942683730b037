# SPDX-License-Identifier: MIT
"""Compute at build time what does not depend on the input; Identity and Dropout vanish."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx

from codegen.ir import ITEM_BYTES, Array, Graph, Node, OnnxOp
from codegen.load.evaluate import evaluate
from codegen.passes.edit import Edit
from codegen.passes.quants import known_value, quantized_constant


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
            for name, value in _evaluate(edit, node, op).items():
                if str(value.dtype) not in ITEM_BYTES:
                    edit.refuse(node, f"computes constants of type {value.dtype}")
                    break
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
    """Whether all inputs are constant, dequantized constants included.

    What only moves values keeps those quantized: they may be weights.
    """
    assert isinstance(node.op, OnnxOp)
    moves = node.op.type in ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
    look = edit.constant if moves else partial(known_value, edit)
    return all(look(name) is not None for name in node.inputs if name)


def _shape(edit: Edit, node: Node, op: OnnxOp) -> Array:
    shape = edit.tensor(node.inputs[0]).shape
    start, end = op.attrs.get("start", 0), op.attrs.get("end", len(shape))
    assert isinstance(start, int) and isinstance(end, int)
    return np.array(shape[start:end], np.int64)


def _evaluate(edit: Edit, node: Node, op: OnnxOp) -> dict[str, Array]:
    if op.type == "QuantizeLinear":
        return {node.outputs[0]: quantized_constant(edit, node, op)}
    attrs: dict[str, Any] = {
        key: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for key, value in op.attrs.items()
    }
    inputs = [edit.name(name) if name else "" for name in node.inputs]
    proto = onnx.helper.make_node(op.type, inputs, node.outputs, node.name, **attrs)
    feeds: dict[str, Array] = {}
    for name in inputs:
        value = known_value(edit, name)
        if value is not None:
            feeds[name] = value
    return evaluate(proto, op.opset, feeds)
