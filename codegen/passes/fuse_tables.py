# SPDX-License-Identifier: MIT
"""Sums and products in which only one int8 value varies become one look-up table.

Exporters write HardSwish as x * HardSigmoid(x), and shift or scale activations by constants: each
is a function of one int8, which 256 entries tell exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codegen.ir import I8, Graph, Node
from codegen.ops import BinaryS8, LutS8
from codegen.oracle.elementwise import binary_s8
from codegen.passes.edit import Edit

_IDENTITY = np.arange(-128, 128, dtype=np.int8)


@dataclass(frozen=True, slots=True)
class _Function:
    """int8[256] `values` by what the tensor `source` holds, or int8[1] for a constant (None)."""

    source: str | None
    values: I8


def fuse_tables(graph: Graph) -> Graph:
    """Every BinaryS8 of one varying tensor as a LutS8; exact, as ONNX Runtime computes it."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not (isinstance(node.op, BinaryS8) and _fuse(edit, node, node.op)):
            edit.keep(node)
    return edit.done()


def _fuse(edit: Edit, node: Node, op: BinaryS8) -> bool:
    a, b = (_function(edit, name) for name in node.inputs)
    if a is None or b is None or (a.source and b.source and a.source != b.source):
        return False
    source = a.source or b.source
    if source is None or edit.tensor(source).shape != edit.tensor(node.outputs[0]).shape:
        return False
    table = edit.new_constant(f"{node.name}.table", binary_s8(op, (256,), a.values, b.values))
    edit.emit(LutS8(op.kind), [source, table], node.outputs, node)
    return True


def _function(edit: Edit, name: str) -> _Function | None:
    """What a tensor is a function of; None for a constant of more than one element."""
    data = edit.constant(name)
    if data is not None:
        return _Function(None, data.astype(np.int8).reshape(1)) if data.size == 1 else None
    values, maker = _IDENTITY, edit.maker(name)
    while maker is not None and isinstance(maker.op, LutS8):
        table = edit.constant(maker.inputs[1])
        assert table is not None
        # The table nearest to `name` is applied last.
        values = values[table.astype(np.int16) + 128]
        name = maker.inputs[0]
        maker = edit.maker(name)
    return _Function(edit.name(name), values)
