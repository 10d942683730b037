# SPDX-License-Identifier: MIT
"""Lower QuantizeLinear and DequantizeLinear to operators with plain parameters.

A dequantized constant stays `DequantizeLinear(c)`, now of a constant `c` that carries its own
`Tensor.quant`: the integer operators want its integers, the float ones its value.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.ir import Graph, OnnxOp
from codegen.ops import Dequantize, Quantize
from codegen.passes.attributes import integer
from codegen.passes.edit import Edit
from codegen.passes.quants import parameters


def lower_quantize(graph: Graph) -> Graph:
    """Quantize and Dequantize of activations; constants with their parameters."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not isinstance(node.op, OnnxOp) or node.op.type not in _TYPES:
            edit.keep(node)
            continue
        quant = parameters(edit, node, node.op)
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
