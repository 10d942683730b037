# SPDX-License-Identifier: MIT
"""int8 addition in integers, proven equal to the float form for every pair of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codegen import oracle
from codegen.ir import Graph, Node, Tensor
from codegen.kernels.base import Call, Overlap
from codegen.kernels.fast import Plan, planned
from codegen.ops import BinaryS8
from codegen.requant import I64
from codegen.target import Target

_TRIES = 300


@dataclass(frozen=True, slots=True)
class AddRecipe:
    """`y = clamp((offset + (a_factor * a >> bits) + (b_factor * b >> bits)) >> shift, lo, hi)`."""

    a_factor: int
    b_factor: int
    offset: int
    shift: int


def add_table(op: BinaryS8) -> I64:
    """What the operator gives for all pairs, shape (256, 256), a first."""
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")
    tensors = {n: Tensor(n, (256, 256), "int8") for n in "aby"}
    node = Node("add", op, ("a", "b"), ("y",))
    graph = Graph("add", tensors, (node,), ("a", "b"), ("y",))
    values = oracle.run(graph, {"a": a.astype(np.int8), "b": b.astype(np.int8)})
    return values["y"].astype(np.int64)


def _around(tries: int) -> Iterator[tuple[int, int]]:
    """Small pairs of steps, nearest first."""
    side = range(-9, 10)
    pairs = sorted(((i, j) for i in side for j in side), key=lambda p: p[0] ** 2 + p[1] ** 2)
    yield from pairs[:tries]


def add_recipe(op: BinaryS8, bits: int = 8) -> AddRecipe | None:
    """Factors and an offset that are right for all 65536 pairs, or None when no try finds any.

    No partial sum (the offset, then b's product, then a's) overflows.
    """
    ratios = op.a_scale / op.out_scale, op.b_scale / op.out_scale
    wanted = add_table(op)
    if (wanted == op.lo).all() or (wanted == op.hi).all():
        return None
    ends = [
        ratios[0] * (a - op.a_zp) + ratios[1] * (b - op.b_zp) + op.out_zp
        for a in (-128, 127)
        for b in (-128, 127)
    ]
    room = min(
        31 - int(np.ceil(np.log2(max(abs(end) for end in ends) + 1))),
        30 - bits - int(np.ceil(np.log2(max(ratios)))),
    )
    for shift in (room, room - 1):
        found = _with_shift(op, wanted, ratios, shift, bits) if 8 <= shift <= 24 else None
        if found is not None:
            return found
    return None


def _with_shift(
    op: BinaryS8, wanted: I64, ratios: tuple[float, float], shift: int, bits: int
) -> AddRecipe | None:
    value = np.arange(-128, 128, dtype=np.int64)
    rising, falling = wanted > op.lo, wanted < op.hi
    a_base, b_base = (round(ratio * 2 ** (shift + bits)) for ratio in ratios)
    for a_step, b_step in _around(_TRIES):
        a_factor, b_factor = a_base + a_step, b_base + b_step
        b_part = (b_factor * value) >> bits
        total = ((a_factor * value) >> bits)[:, None] + b_part
        least = int(((wanted << shift) - total)[rising].max())
        most = int((((wanted + 1) << shift) - 1 - total)[falling].min())
        if least <= most:
            offset = (least + most) // 2
            sums = total + offset
            fits = int(sums.min()) >= -(2**31) and int(sums.max()) < 2**31
            partial = abs(offset) + max(abs(a_factor) // 2, int(np.abs(b_part).max()))
            inside = max(abs(a_factor), abs(b_factor), partial) < 2**31
            same = np.clip(sums >> shift, op.lo, op.hi) == wanted
            if fits and inside and same.all():
                return AddRecipe(a_factor, b_factor, offset, shift)
    return None


def _plan(node: Node, graph: Graph, kernel: str, bits: int) -> Plan | None:
    op = node.op
    if not isinstance(op, BinaryS8) or op.kind != "add":
        return None
    a, b = (graph.tensors[name] for name in node.inputs)
    y = graph.tensors[node.outputs[0]]
    if a.shape != y.shape or b.shape != y.shape or a.data is not None or b.data is not None:
        return None
    recipe = add_recipe(op, bits)
    if recipe is None or (128 >> bits) * max(recipe.a_factor, recipe.b_factor) >= 2**31:
        return None

    def write() -> Call:
        text = (
            f"{kernel}({y.size_bytes}, {recipe.a_factor}, {recipe.b_factor}, {recipe.offset}, "
            f"{recipe.shift}, {op.lo}, {op.hi}, x0, x1, y0);"
        )
        return Call((f"{kernel}.h",), (), text)

    return Plan(write, 0, (Overlap(0, 0), Overlap(1, 0)))


def _dsp(node: Node, graph: Graph, target: Target) -> Plan | None:
    return _plan(node, graph, "nn_add_s8_dsp", 8) if target.dsp else None


def _v6m(node: Node, graph: Graph, target: Target) -> Plan | None:
    return None if target.dsp else _plan(node, graph, "nn_add_s8_v6m", 0)


FAST_DSP = (planned("nn_add_s8_dsp", _dsp),)
FAST_V6M = (planned("nn_add_s8_v6m", _v6m),)
