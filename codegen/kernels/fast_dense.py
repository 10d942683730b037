# SPDX-License-Identifier: MIT
"""int8 fully connected layers of one row for cores with the DSP extension and an FPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codegen.ir import I8, Graph, Node
from codegen.kernels.base import Call, Constant
from codegen.kernels.c_text import requant_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_dot import (
    dual_issue,
    pack,
    packable,
    padded_pairs,
    record,
    unrolling,
)
from codegen.kernels.reference import constant_input, in_and_out
from codegen.ops import DenseS8
from codegen.target import Target

_LARGEST_ROW = 1024
_LARGEST_CHUNK = 512  # 512 * 128 * 128 * 256 is 2^31: sums of packed weights of at most 127 fit


def _operands(
    node: Node, graph: Graph, target: Target
) -> tuple[DenseS8, I8, npt.NDArray[np.int32] | None] | None:
    """Operator, weights and bias of a layer of one row that may be packed."""
    op = node.op
    if not isinstance(op, DenseS8) or not target.dsp or target.fpu == "none":
        return None
    w, b = constant_input(node, graph, 1), constant_input(node, graph, 2)
    x, _ = in_and_out(node, graph)
    if w is None or op.w_zp is not None or x.shape[0] != 1:
        return None
    return op, w.astype(np.int8), None if b is None else b.astype(np.int32)


def _one_chunk(node: Node, graph: Graph, target: Target) -> Plan | None:
    found = _operands(node, graph, target)
    if found is None:
        return None
    op, w, b = found
    cols, depth = w.shape
    if cols < 4 or depth > _LARGEST_ROW:
        return None
    packed = pack(w, b, op.requant, target.requant)
    if packed is None:
        return None
    fours = [list(range(f, f + 4)) for f in range(0, cols - 3, 4)]
    if cols % 4:
        fours.append(list(range(cols - 4, cols)))
    words = np.concatenate([record(packed, four) for four in fours])
    head, unroll = unrolling(packed.groups, target)
    kernel, requant, recipe = "nn_dense_s8_dsp", op.requant, packed.recipe

    def write() -> Call:
        text = (
            f"{kernel}({depth}, {cols}, {head}, {unroll}, {recipe.shift}, {requant.out_zp}, "
            f"{requant.lo}, {requant.hi}, {int(not recipe.proven.all())},\n"
            f"    x0, @stream@, y0, scratch);"
        )
        constants = (Constant("stream", "uint32_t", words),)
        return Call((f"{kernel}.h",), constants, text, dual_issue(target))

    return Plan(write, 8 * packed.groups)


def _long(node: Node, graph: Graph, target: Target) -> Plan | None:
    found = _operands(node, graph, target)
    if found is None:
        return None
    op, w, b = found
    cols, depth = w.shape
    if not packable(w) or (w == -128).any() or cols < 2:
        return None
    even, odd = padded_pairs(w)
    groups = even.shape[1] // 2
    chunk_groups = max(g for g in range(1, _LARGEST_CHUNK // 4 + 1) if groups % g == 0)
    if chunk_groups < min(groups, 32):  # no divisor of use: fill up with zeros
        chunk_groups = -(-groups // -(-groups // (_LARGEST_CHUNK // 4)))
    chunks = -(-groups // chunk_groups)
    fill = ((0, -cols % 4), (0, 2 * (chunks * chunk_groups - groups)))
    even, odd = np.pad(even, fill), np.pad(odd, fill)
    words = np.ascontiguousarray((even + 256 * odd).astype(np.int16)).view(np.uint32)
    parts = words.reshape(-1, 4, chunks, chunk_groups).transpose(2, 0, 3, 1)
    residues = (127 * even.reshape(-1, chunks, 2 * chunk_groups).sum(axis=2)) >> 8
    bias = np.zeros(cols, np.int64) if b is None else b.astype(np.int64)
    bias = bias - op.requant.in_zp * w.astype(np.int64).sum(axis=1) - residues.sum(axis=1)[:cols]
    if np.abs(bias).max() >= 2**30:
        return None
    head, unroll = unrolling(chunk_groups, target)
    kernel = "nn_dense_s8_dsp_long"
    behind = np.zeros(4 if dual_issue(target) else 0, np.uint32)

    def write() -> Call:
        constants = (
            Constant("stream", "uint32_t", np.append(parts.reshape(-1), behind)),
            Constant("bias", "int32_t", bias.astype(np.int32)),
            Constant("multiplier", "float", op.requant.multiplier),
        )
        text = (
            f"{requant_text(op.requant)}\n"
            f"{kernel}({depth}, {4 * chunk_groups}, {cols}, {head}, {unroll}, &q,\n"
            f"    x0, @stream@, @bias@, @multiplier@, y0, scratch);"
        )
        return Call((f"{kernel}.h",), constants, text, dual_issue(target))

    return Plan(write, 8 * chunk_groups + 4 * words.shape[0])


FAST = (planned("nn_dense_s8_dsp", _one_chunk), planned("nn_dense_s8_dsp_long", _long))
