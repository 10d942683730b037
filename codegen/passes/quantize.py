# SPDX-License-Identifier: MIT
"""Lower QuantizeLinear and DequantizeLinear to operators with plain parameters.

A dequantized constant stays `DequantizeLinear(c)`, now of a constant `c` that carries its own
`Tensor.quant`: the integer operators want its integers, the float ones its value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.ir import Graph, Node, OnnxOp, Quant
from codegen.ops import Dequantize, Quantize
from codegen.passes.attributes import integer
from codegen.passes.edit import Edit


def lower_quantize(graph: Graph) -> Graph:
    """Quantize and Dequantize of activations; constants with their parameters."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not isinstance(node.op, OnnxOp) or node.op.type not in _TYPES:
            edit.keep(node)
            continue
        quant = _quant(edit, node, node.op)
        data = edit.constant(node.inputs[0])
        if data is not None:
            constant = edit.new_constant(f"{node.inputs[0]}.{node.name}", data, quant)
            attrs = {"unsigned": integer(node.op, "unsigned", 0)}
            edit.emit(replace(node.op, attrs=attrs), [constant], node.outputs, node)
        elif quant.axis is not None:
            edit.refuse(node, "activations with a scale per channel are not supported")
        else:
            scale, zero_point = float(quant.scale), int(quant.zero_point)
            kind = Quantize if node.op.type == "QuantizeLinear" else Dequantize
            unsigned = bool(integer(node.op, "unsigned", 0))
            edit.emit(kind(scale, zero_point, unsigned), node.inputs[:1], node.outputs, node)
            q = node.outputs[0] if kind is Quantize else edit.name(node.inputs[0])
            if edit.tensors[q].quant is None or kind is Quantize:
                edit.tensors[q] = replace(edit.tensors[q], quant=quant)
    return edit.done()


_TYPES = ("QuantizeLinear", "DequantizeLinear")


def _quant(edit: Edit, node: Node, op: OnnxOp) -> Quant:
    """The parameters of a node that `codegen.load` has already found to be sound."""
    scale = edit.constant(node.inputs[1])
    assert scale is not None and scale.dtype == np.float32
    zero_point = edit.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    integers = np.zeros(scale.shape, np.int32) if zero_point is None else zero_point
    if scale.size == 1:
        return Quant(scale.astype(np.float32).reshape(()), integers.astype(np.int32).reshape(()))
    rank = len(edit.tensor(node.inputs[0]).shape)
    axis = integer(op, "axis", 1) % rank
    return Quant(scale.astype(np.float32), integers.astype(np.int32), axis)
