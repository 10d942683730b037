# SPDX-License-Identifier: MIT
"""int8 fully connected layers of one row for cores without the DSP extension."""

from __future__ import annotations

import numpy as np

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import c_struct
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_v6m import biased, end_fields, end_records, is_target, operands
from codegen.kernels.reference import in_and_out
from codegen.ops import DenseS8
from codegen.target import Target


def _dense(node: Node, graph: Graph, target: Target) -> Plan | None:
    op = node.op
    if not isinstance(op, DenseS8) or not is_target(target, op):
        return None
    found, x = operands(node, graph), in_and_out(node, graph)[0]
    if found is None or x.shape[0] != 1:
        return None
    cols, depth = found.w.shape
    lead = 128 * found.w.sum(axis=1)
    records = end_records(op.requant, found.w, found.bias, lead, target)
    if records is None:
        return None
    filled = np.pad(found.stored, ((0, -cols % 4), (0, -depth % 8)))
    fours = biased(filled).reshape(-1, 4, filled.shape[1]).transpose(0, 2, 1)
    kernel, requant = "nn_dense_s8_v6m", op.requant

    def write() -> Call:
        end = c_struct("nn_end_v6m", "end", end_fields(requant, records.low_shift))
        body = (
            f"{end}\n{kernel}({depth}, {cols}, {128 + found.zp}, &end, "
            "x0, @weights@, @records@, y0, scratch);"
        )
        constants = (
            Constant("weights", "uint8_t", np.ascontiguousarray(fours)),
            Constant("records", "int32_t", records.words),
        )
        return Call((f"{kernel}.h",), constants, body, records.defines)

    return Plan(write, filled.shape[1])


FAST = (planned("nn_dense_s8_v6m", _dense),)
