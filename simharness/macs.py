# SPDX-License-Identifier: MIT
"""Multiply-accumulates per layer, counted the way published figures are.

A convolution counts every tap of every output element, padding included; dense layers and matrix
products count their products; everything else counts none.
"""

from __future__ import annotations

from math import prod

from codegen.ir import Graph, Node
from codegen.ops import (
    ConvAddS8,
    ConvF32,
    ConvS8,
    DenseF32,
    DenseS8,
    GruF32,
    LstmF32,
    MatMulF32,
    MatMulS8,
)


def macs(node: Node, graph: Graph) -> int:
    """The multiply-accumulates of one lowered node."""
    shape = graph.tensors[node.outputs[0]].shape
    match node.op:
        case ConvS8() | ConvF32() | ConvAddS8():
            return prod(shape) * prod(graph.tensors[node.inputs[1]].shape[1:])
        case DenseS8() | DenseF32() | MatMulS8() | MatMulF32():
            return prod(shape) * graph.tensors[node.inputs[0]].shape[-1]
        case GruF32() | LstmF32():
            return shape[0] * prod(graph.tensors[node.inputs[1]].shape)
        case _:
            return 0
