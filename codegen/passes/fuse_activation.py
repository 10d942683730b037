# SPDX-License-Identifier: MIT
"""Fuse clamps into the operators before them, and join look-up tables that follow each other.

A clamp also crosses what lies between it and such operators when it commutes: moving and joining
values, and taking a maximum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.ir import Array, Graph, Node
from codegen.ops import (
    AvgPoolF32,
    AvgPoolS8,
    BinaryF32,
    BinaryS8,
    Concat,
    ConvF32,
    ConvS8,
    DenseF32,
    DenseS8,
    LutS8,
    MatMulF32,
    MatMulS8,
    MaxPool,
    Op,
    PReluS8,
    Slice,
    Transpose,
    UnaryF32,
    View,
)
from codegen.passes.edit import Edit

_COMMUTES = (View, Transpose, MaxPool, Slice)
_REQUANTIZED = (ConvS8, DenseS8, MatMulS8)
_CLAMPED_S8 = (BinaryS8, PReluS8, AvgPoolS8)
_CLAMPED_F32 = (ConvF32, DenseF32, MatMulF32, BinaryF32, AvgPoolF32)


def fuse_activation(graph: Graph) -> Graph:
    """Look-up tables and clips absorbed where that changes no result."""
    edit = Edit(graph)
    for node in graph.nodes:
        if isinstance(node.op, LutS8):
            fused = _fuse_lut(edit, node)
        elif isinstance(node.op, UnaryF32) and node.op.kind == "clip":
            fused = _fuse_clamp(edit, node, node.op.p0, node.op.p1)
        else:
            fused = False
        if not fused:
            edit.keep(node)
    return edit.done()


def _fuse_lut(edit: Edit, node: Node) -> bool:
    table = edit.constant(node.inputs[1])
    assert table is not None
    limits = clamp_of(table)
    if limits == (-128, 127):
        edit.replace(node.outputs[0], node.inputs[0])
        return True
    if limits is not None and _fuse_clamp(edit, node, *limits):
        return True
    maker = edit.maker(node.inputs[0])
    if maker is None or not isinstance(maker.op, LutS8) or not edit.only_use(node.inputs[0]):
        return False
    first = edit.constant(maker.inputs[1])
    assert first is not None
    joined = table[first.astype(np.int16) + 128]
    constant = edit.new_constant(f"{node.name}.joined", joined)
    kind = maker.op.kind if node.op == maker.op else f"{maker.op.kind}+{_kind(node)}"
    edit.emit(LutS8(kind), [maker.inputs[0], constant], node.outputs, node, maker)
    return True


def _kind(node: Node) -> str:
    assert isinstance(node.op, LutS8)
    return node.op.kind


def clamp_of(table: Array) -> tuple[int, int] | None:
    """The limits of the clamp that a 256-entry table is, or None when it is something else."""
    lo, hi = int(table.min()), int(table.max())
    is_clamp = np.array_equal(table, np.clip(np.arange(-128, 128), lo, hi))
    return (lo, hi) if is_clamp else None


def _fuse_clamp(edit: Edit, node: Node, lo: float, hi: float) -> bool:
    """Tighten the clamps of the operators that the values come from; False when one has none."""
    sources = _sources(edit, node.inputs[0])
    clamped = [_clamped(source.op, lo, hi) for source in sources]
    if not sources or None in clamped:
        return False
    for source, op in zip(sources, clamped, strict=True):
        assert op is not None
        origin = tuple(dict.fromkeys((*source.origin, *node.origin)))
        edit.swap(source, replace(source, op=op, origin=origin))
    edit.replace(node.outputs[0], node.inputs[0])
    return True


def _sources(edit: Edit, name: str) -> list[Node]:
    """What computed the values that nobody else reads, before all that commutes; else nothing."""
    sources: list[Node] = []
    waiting = [name]
    while waiting:
        name = waiting.pop()
        maker = edit.maker(name)
        if maker is None or not edit.only_use(name):
            return []
        if isinstance(maker.op, Concat):
            waiting += maker.inputs
        elif isinstance(maker.op, _COMMUTES):
            waiting.append(maker.inputs[0])
        else:
            sources.append(maker)
    return sources


def _clamped(op: object, lo: float, hi: float) -> Op | None:
    if isinstance(op, _REQUANTIZED):
        requant = op.requant
        low, high = _intersect(requant.lo, requant.hi, int(lo), int(hi))
        return replace(op, requant=replace(requant, lo=low, hi=high))
    if isinstance(op, _CLAMPED_S8):
        low, high = _intersect(op.lo, op.hi, int(lo), int(hi))
        return replace(op, lo=low, hi=high)
    if isinstance(op, _CLAMPED_F32):
        return replace(op, lo=min(max(op.lo, lo), hi), hi=max(min(op.hi, hi), lo))
    if isinstance(op, UnaryF32) and op.kind == "clip":
        return replace(op, p0=min(max(op.p0, lo), hi), p1=max(min(op.p1, hi), lo))
    return None


def _intersect(lo: int, hi: int, new_lo: int, new_hi: int) -> tuple[int, int]:
    """Clamping to lo..hi and then to new_lo..new_hi, as one clamp (also where they do not meet)."""
    return min(max(lo, new_lo), new_hi), max(min(hi, new_hi), new_lo)
