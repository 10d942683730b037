# SPDX-License-Identifier: MIT
"""Bring QuantizeLinear up and DequantizeLinear down, past whatever only moves values.

Rounding commutes with moving, with taking a maximum, and with clipping, so the results stay the
same to the bit; what is gained is that every arithmetic operator ends up right between its own
Dequantize and Quantize, whatever Reshape, Pad or Relu the exporter left between them.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from codegen.ir import Graph, Node, OnnxOp, Quant
from codegen.ops import (
    ArgMax,
    Concat,
    Dequantize,
    LutS8,
    MaxPool,
    Op,
    Pad,
    Quantize,
    Resize,
    Slice,
    Transpose,
    View,
)
from codegen.passes.edit import Edit
from codegen.passes.quants import clip_range, quantized, real_literal

MOVES = (View, Transpose, Slice, Pad, Resize, MaxPool, Concat)


def move_quantize(graph: Graph) -> Graph:
    """Dequantize below and Quantize above all movement."""
    edit = Edit(graph)
    for node in graph.nodes:
        if isinstance(node.op, Quantize):
            quant = graph.tensors[node.outputs[0]].quant
            assert quant is not None
            _hoist(edit, node, node.op, node.inputs[0], node.outputs[0], quant)
        elif not (_sink_constant(edit, node) or _sink(edit, node)):
            edit.keep(node)
    return edit.done()


def _hoist(edit: Edit, node: Node, op: Quantize, name: str, target: str, quant: Quant) -> None:
    """Make int8 `target` from float `name`, quantizing as early as may be."""
    maker = edit.maker(name)
    data = real_literal(edit, name)
    if data is not None:
        edit.replace(target, edit.new_constant(target, quantized(data, op.scale, op.zp), quant))
    elif maker is not None and isinstance(maker.op, Dequantize) and _same(maker.op, op):
        edit.replace(target, maker.inputs[0])
    elif maker is None or not edit.only_use(name):
        edit.emit(op, [name], [target], node)
    elif isinstance(maker.op, MOVES):
        inner = [
            edit.activation(f"{target}.{i}", edit.tensor(source).shape, "int8", quant)
            for i, source in enumerate(maker.inputs)
        ]
        for source, twin in zip(maker.inputs, inner, strict=True):
            _hoist(edit, node, op, source, twin, quant)
        edit.emit(_for_int8(maker.op, op), inner, [target], maker)
    elif (limits := clip_range(edit, maker)) is not None:
        twin = edit.activation(f"{target}.x", edit.tensor(name).shape, "int8", quant)
        _hoist(edit, node, op, maker.inputs[0], twin, quant)
        _emit_clamp(edit, maker, op, limits, twin, target)
    else:
        edit.emit(op, [name], [target], node)


def _sink(edit: Edit, node: Node) -> bool:
    """Move or rectify the integers below a Dequantize instead of the reals above it."""
    makers = [edit.maker(name) for name in node.inputs]
    first = makers[0].op if makers and makers[0] is not None else None
    if not isinstance(first, Dequantize):
        return False
    sources = [
        maker.inputs[0]
        for maker in makers
        if maker is not None and isinstance(maker.op, Dequantize) and _same(maker.op, first)
    ]
    output = edit.tensors[node.outputs[0]]
    quant = edit.tensor(sources[0]).quant
    twin = f"{output.name}.int8"
    if isinstance(node.op, ArgMax):
        edit.keep(replace(node, inputs=tuple(sources)))
        return True
    if isinstance(node.op, MOVES) and len(sources) == len(makers):
        if isinstance(node.op, Pad) and node.op.mode == "constant" and node.op.value != 0:
            return False
        twin = edit.activation(twin, output.shape, "int8", quant)
        edit.emit(_for_int8(node.op, first), sources, [twin], node)
    elif clip_range(edit, node) == (0.0, float("inf")):
        twin = edit.activation(twin, output.shape, "int8", quant)
        _emit_clamp(edit, node, first, (0.0, float("inf")), sources[0], twin)
    else:
        return False
    edit.emit(first, [twin], node.outputs, node, name=f"{node.name}.dequantize")
    return True


def _sink_constant(edit: Edit, node: Node) -> bool:
    """A View or Transpose of a dequantized constant becomes a dequantized constant."""
    maker = edit.maker(node.inputs[0]) if node.inputs else None
    if maker is None or not isinstance(node.op, View | Transpose):
        return False
    if not isinstance(maker.op, OnnxOp) or maker.op.type != "DequantizeLinear":
        return False
    constant = edit.tensor(maker.inputs[0])
    shape = edit.tensors[node.outputs[0]].shape
    assert constant.data is not None and constant.quant is not None
    axis = constant.quant.axis
    if isinstance(node.op, Transpose):
        data = constant.data.transpose(node.op.perm)
        axis = None if axis is None else node.op.perm.index(axis)
    else:
        data = constant.data.reshape(shape)
        if axis is not None:
            axis = _same_axis(constant.shape, shape, axis)
            if axis is None:
                return False
    quant = replace(constant.quant, axis=axis)
    moved = edit.new_constant(f"{node.outputs[0]}.int8", np.ascontiguousarray(data), quant)
    edit.emit(maker.op, [moved], node.outputs, maker, node)
    return True


def _same_axis(shape: tuple[int, ...], new_shape: tuple[int, ...], axis: int) -> int | None:
    """Where `axis` of `shape` is found whole after a reshape, or None."""
    for index, size in enumerate(new_shape):
        if size == shape[axis] and prod(new_shape[:index]) == prod(shape[:axis]):
            return index
    return None


def _emit_clamp(
    edit: Edit,
    node: Node,
    quant: Quantize | Dequantize,
    limits: tuple[float, float],
    source: str,
    target: str,
) -> None:
    lo, hi = (int(quantized(limit, quant.scale, quant.zp)) for limit in limits)
    table = np.clip(np.arange(-128, 128), lo, hi).astype(np.int8)
    edit.emit(
        LutS8("clip"), [source, edit.new_constant(f"{node.name}.table", table)], [target], node
    )


def _same(a: Dequantize | Quantize, b: Dequantize | Quantize) -> bool:
    return (a.scale, a.zp) == (b.scale, b.zp)


def _for_int8(op: Op, quant: Quantize | Dequantize) -> Op:
    if isinstance(op, Pad) and op.mode == "constant":
        return replace(op, value=float(quantized(op.value, quant.scale, quant.zp)))
    return op
