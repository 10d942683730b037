# SPDX-License-Identifier: MIT
"""Fold an explicit Pad into the window that reads it, wherever that gives the same numbers.

The exporter may leave the Pad several Transposes and Reshapes away, so the axes are matched by
their strides.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from codegen.ir import Graph, Node
from codegen.ops import (
    AvgPoolF32,
    AvgPoolS8,
    ConvF32,
    ConvS8,
    MaxPool,
    Op,
    Pad,
    Transpose,
    View,
    Window,
)
from codegen.passes.edit import Edit
from codegen.passes.strides import Layout, dense, reshaped, transposed

Windowed = ConvS8 | ConvF32 | MaxPool | AvgPoolS8 | AvgPoolF32
INF = float("inf")


def fold_pad(graph: Graph) -> Graph:
    """Windows that pad for themselves instead of reading a padded tensor."""
    edit = Edit(graph)
    for node in graph.nodes:
        if not (isinstance(node.op, Windowed) and _fold(edit, node, node.op)):
            edit.keep(node)
    return edit.done()


def _fold(edit: Edit, node: Node, op: Windowed) -> bool:
    found = _pad_above(edit, node.inputs[0])
    if found is None:
        return False
    pad_node, pad, layout = found
    axes = _matching_axes(edit.tensor(pad_node.outputs[0]).shape, layout)
    if axes is None:
        return False
    before, after = (
        [pad.before[a] if a >= 0 else 0 for a in axes],
        [pad.after[a] if a >= 0 else 0 for a in axes],
    )
    if before[0] or before[3] or after[0] or after[3]:
        return False
    if sum(before) + sum(after) != sum(pad.before) + sum(pad.after):
        return False
    top, left, bottom, right = op.window.pads
    pads = (top + before[1], left + before[2], bottom + after[1], right + after[2])
    window = replace(op.window, pads=pads)
    folded = _padded(op, pad, window)
    if folded is None:
        return False
    source = _reframe(edit, node, pad_node, axes, node.inputs[0])
    edit.emit(folded, [source, *node.inputs[1:]], node.outputs, node, pad_node)
    return True


def _pad_above(edit: Edit, name: str) -> tuple[Node, Pad, Layout] | None:
    """The Pad from which Views and Transposes lead to `name`, and the layout of `name` over it."""
    steps: list[Node] = []
    maker = edit.maker(name)
    while maker is not None and isinstance(maker.op, View | Transpose):
        steps.append(maker)
        maker = edit.maker(maker.inputs[0])
    if maker is None or not isinstance(maker.op, Pad):
        return None
    layout = dense(edit.tensor(maker.outputs[0]).shape)
    for step in reversed(steps):
        if isinstance(step.op, Transpose):
            layout = transposed(layout, step.op.perm)
            continue
        viewed = reshaped(layout, edit.tensor(step.outputs[0]).shape)
        if viewed is None:
            return None
        layout = viewed
    return maker, maker.op, layout


def _matching_axes(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...] | None:
    """For each axis of the window's input, which axis of the padded tensor it is; -1 for size 1."""
    own = dense(shape)
    axes = []
    for axis in layout:
        if axis and axis not in own:
            return None
        axes.append(own.index(axis) if axis else -1)
    return tuple(axes)


def _padded(op: Windowed, pad: Pad, window: Window) -> Op | None:
    """`op` with the larger window padding if the pad's value is what its own padding means."""
    if pad.mode != "constant":
        return None
    if isinstance(op, ConvS8):
        return replace(op, window=window) if pad.value == op.requant.in_zp else None
    if isinstance(op, ConvF32):
        return replace(op, window=window) if pad.value == 0 else None
    extent = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    if any(p >= extent[i % 2] for i, p in enumerate(window.pads)):
        return None  # some window might see padding only
    if isinstance(op, MaxPool):
        return replace(op, window=window) if pad.value in (-128, -INF) else None
    counted = op.count_include_pad or not any(op.window.pads)
    if not counted or (isinstance(op, AvgPoolS8) and op.form != "window"):
        return None
    zero = op.in_zp if isinstance(op, AvgPoolS8) else 0
    return replace(op, window=window, count_include_pad=True) if pad.value == zero else None


def _reframe(edit: Edit, node: Node, pad: Node, axes: tuple[int, ...], name: str) -> str:
    """The tensor before the Pad, brought into the frame of the window's input `name`."""
    source = edit.tensor(pad.inputs[0])
    used = [axis for axis in axes if axis >= 0]
    perm = (*(a for a in range(len(source.shape)) if a not in used), *used)
    lead = prod(source.shape[a] for a in perm[: -len(used)]) if used else 1
    assert lead == 1
    moved = edit.activation(
        f"{name}.unpadded", [source.shape[p] for p in perm], source.dtype, source.quant
    )
    edit.emit(Transpose(perm), [source.name], [moved], pad, name=f"{node.name}.frame")
    shape = [source.shape[axis] if axis >= 0 else 1 for axis in axes]
    framed = edit.activation(f"{name}.framed", shape, source.dtype, source.quant)
    edit.emit(View(), [moved], [framed], pad, name=f"{node.name}.unit")
    return framed
