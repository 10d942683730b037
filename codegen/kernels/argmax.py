# SPDX-License-Identifier: MIT
"""The place of the largest element."""

from __future__ import annotations

from codegen.ir import DType, Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.reference import Reference, in_and_out, op_of
from codegen.ops import ArgMax


def _argmax(kernel: str, dtype: DType) -> Reference:
    def takes(node: Node, graph: Graph) -> bool:
        return isinstance(node.op, ArgMax) and in_and_out(node, graph)[0].dtype == dtype

    def write(node: Node, graph: Graph) -> Call:
        rows, cols = in_and_out(node, graph)[0].shape
        body = f"{kernel}({rows}, {cols}, {int(op_of(node, ArgMax).last)}, x0, y0);"
        return Call((f"{kernel}.h",), (), body)

    return Reference(kernel, takes, write)


REFERENCES = (_argmax("nn_argmax_s8", "int8"), _argmax("nn_argmax_f32", "float32"))
