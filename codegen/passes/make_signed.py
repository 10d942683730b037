# SPDX-License-Identifier: MIT
"""Turn every uint8 into int8 by taking 128 away, also from zero points; its meaning stays.

Only the graph's own inputs and outputs stay uint8, behind a FlipSign. Quantizers remember in the
attribute "unsigned" what they were: ONNX Runtime's float32 sums depend on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.ir import Graph, Node, OnnxOp
from codegen.ops import FlipSign, Pad
from codegen.passes.edit import Edit

_SIGN = 128


def make_signed(graph: Graph) -> Graph:
    """`graph` without uint8 inside; zero points, being uint8 constants, follow by themselves."""
    if all(tensor.dtype != "uint8" for tensor in graph.tensors.values()):
        return graph
    edit = Edit(graph)
    inner = _retype(edit)
    for name in graph.inputs:
        if name in inner:
            edit.emit(FlipSign(), [name], [inner[name]], name=f"{name}.signed")
    for node in graph.nodes:
        inputs = tuple(inner.get(name, name) for name in node.inputs)
        outputs = tuple(inner.get(name, name) for name in node.outputs)
        op = node.op
        if isinstance(op, Pad) and graph.tensors[node.outputs[0]].dtype == "uint8":
            op = replace(op, value=op.value - _SIGN)
        if isinstance(op, OnnxOp) and _is_unsigned(graph, node, op):
            inputs = _state_zero_point(edit, node, inputs)
            op = replace(op, attrs={**op.attrs, "unsigned": 1})
        edit.keep(replace(node, op=op, inputs=inputs, outputs=outputs))
    for name in graph.outputs:
        if name in inner and name not in graph.inputs:
            edit.emit(FlipSign(), [inner[name]], [name], name=f"{name}.unsigned")
    return edit.done()


def _retype(edit: Edit) -> dict[str, str]:
    """Retype all uint8 tensors; returns the int8 twin of each graph input and output."""
    inner: dict[str, str] = {}
    for name, tensor in edit.graph.tensors.items():
        if tensor.dtype != "uint8":
            continue
        quant = tensor.quant
        if quant is not None:
            quant = replace(quant, zero_point=quant.zero_point - np.int32(_SIGN))
        data = tensor.data
        if data is not None:
            data = (data.astype(np.int16) - _SIGN).astype(np.int8)
        if name in edit.graph.inputs or name in edit.graph.outputs:
            inner[name] = edit.activation(f"{name}.int8", tensor.shape, "int8", quant)
        else:
            edit.tensors[name] = replace(tensor, dtype="int8", data=data, quant=quant)
    return inner


def _is_unsigned(graph: Graph, node: Node, op: OnnxOp) -> bool:
    """Whether a QuantizeLinear writes, or a DequantizeLinear reads, uint8."""
    quantized = {"QuantizeLinear": node.outputs[:1], "DequantizeLinear": node.inputs[:1]}
    return any(graph.tensors[name].dtype == "uint8" for name in quantized.get(op.type, ()))


def _state_zero_point(edit: Edit, node: Node, inputs: tuple[str, ...]) -> tuple[str, ...]:
    """An absent zero point means 0, which for a former uint8 is now -128."""
    if len(inputs) > 2 and inputs[2]:
        return inputs
    scale = edit.graph.tensors[inputs[1]]
    zero_point = np.full(scale.shape, -_SIGN, np.int8)
    return (*inputs[:2], edit.new_constant(f"{node.name}.zero_point", zero_point))
