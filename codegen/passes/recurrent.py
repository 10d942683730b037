# SPDX-License-Identifier: MIT
"""GRU and LSTM in float32: the part of the gates that the inputs give is one fully connected layer
over all time steps, and a kernel then runs through the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codegen.ir import F32, Node, OnnxOp
from codegen.ops import Concat, DenseF32, GruF32, LstmF32, Op, Slice, Transpose, View
from codegen.passes.attributes import integer, text
from codegen.passes.edit import Edit

_FUNCTIONS = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}


@dataclass(frozen=True, slots=True, eq=False)
class _Direction:
    """Weights of one direction: w[G*H, I], r[G*H, H], and the halves of the bias, G*H each."""

    w: F32
    r: F32
    w_bias: F32
    r_bias: F32


def lower_recurrent(edit: Edit, node: Node, op: OnnxOp) -> None:
    """One recurrence per direction and image of the batch; their states lie side by side."""
    refusal = _refusal(edit, node, op)
    if refusal:
        edit.refuse(node, refusal)
        return
    batch_first = bool(integer(op, "layout", 0))
    source = node.inputs[0]
    if batch_first:
        source = _moved(edit, node, source, (1, 0, 2))
    steps, batch, width = edit.tensor(source).shape
    rows = _viewed(edit, node, source, (steps, batch * width))
    directions = _directions(edit, node)
    units = directions[0].r.shape[1]
    states: list[str] = []
    ends: list[str] = []
    for index, weights in enumerate(directions):
        backwards = index == 1 or text(op, "direction", "forward") == "reverse"
        first, step = (steps - 1, -1) if backwards else (0, 1)
        for image in range(batch):
            inner = _part(edit, node, rows, (first, image * width), step, (steps, width))
            made = _recurrence(edit, node, op, weights, inner, index * batch + image)
            states.append(_part(edit, node, made, (first, 0), step, (steps, units)))
            ends.append(_part(edit, node, made, (steps - 1, 0), 1, (1, units)))
    shapes = (steps, len(directions), batch, units), (len(directions), batch, units)
    perms = (2, 0, 1, 3), (1, 0, 2)
    for parts, shape, perm, output in zip(
        (states, ends), shapes, perms, node.outputs, strict=False
    ):
        if output:
            made = _viewed(edit, node, _beside(edit, node, parts), shape)
            kind = Transpose(perm) if batch_first else View()
            edit.emit(kind, [made], [output], node, name=f"{node.name}.output")


def _refusal(edit: Edit, node: Node, op: OnnxOp) -> str:
    """Why a node cannot be lowered; empty when it can."""
    functions = op.attrs.get("activations", ())
    assert isinstance(functions, Sequence)
    wanted = _FUNCTIONS[op.type] * (2 if text(op, "direction", "forward") == "bidirectional" else 1)
    steps = edit.tensor(node.inputs[0]).shape[1 if integer(op, "layout", 0) else 0]
    inputs = (*node.inputs, *[""] * (8 - len(node.inputs)))
    lengths = edit.constant(inputs[4])
    used = {name for other in edit.graph.nodes for name in other.inputs} | set(edit.graph.outputs)
    if any(edit.constant(name) is None for name in inputs[1:4] if name):
        return "its weights are computed at run time"
    if inputs[4] and (lengths is None or (lengths != steps).any()):
        return "sequences of differing lengths are not supported"
    if functions and tuple(str(f).lower() for f in functions) != wanted:
        return f"the activations {list(functions)} are not supported, only ONNX's own"
    if "clip" in op.attrs or integer(op, "input_forget", 0) or inputs[7]:
        return "clip, input_forget and peepholes are not supported"
    if any(name and name in used for name in node.outputs[2:]):
        return "its last cell state is not supported as an output"
    return ""


def _directions(edit: Edit, node: Node) -> list[_Direction]:
    w, r = (np.asarray(edit.constant(name), np.float32) for name in node.inputs[1:3])
    found = edit.constant(node.inputs[3]) if len(node.inputs) > 3 else None
    count = r.shape[1]
    bias = np.zeros((len(r), 2 * count), np.float32) if found is None else found.astype(np.float32)
    return [_Direction(w[i], r[i], bias[i, :count], bias[i, count:]) for i in range(len(r))]


def _recurrence(
    edit: Edit, node: Node, op: OnnxOp, weights: _Direction, rows: str, index: int
) -> str:
    """The states [T, H] that inputs [T, I] lead to; `index` counts directions and images."""
    steps, units = edit.tensor(rows).shape[0], weights.r.shape[1]
    name = f"{node.name}.{index}" if index else node.name
    late = op.type == "GRU" and bool(integer(op, "linear_before_reset", 0))
    bias = weights.w_bias + weights.r_bias
    if late:  # the new gate's own bias is inside of what the reset gate multiplies
        bias[2 * units :] = weights.w_bias[2 * units :]
    gates = edit.activation(f"{name}.gates", (steps, len(weights.r)), "float32")
    w = edit.new_constant(f"{name}.w", weights.w)
    b = edit.new_constant(f"{name}.bias", bias)
    edit.emit(DenseF32(), [rows, w, b], [gates], node, name=f"{name}.inputs")
    r = edit.new_constant(f"{name}.r", weights.r)
    start = _start(edit, node, op, 5, index)
    kind: Op = LstmF32()
    rest = [start, _start(edit, node, op, 6, index)]
    if op.type == "GRU":
        kind = GruF32()
        rest = [
            edit.new_constant(f"{name}.late", weights.r_bias[2 * units :]) if late else "",
            start,
        ]
    states = edit.activation(f"{name}.states", (steps, units), "float32")
    edit.emit(kind, [gates, r, *rest], [states], node, name=name)
    return states


def _start(edit: Edit, node: Node, op: OnnxOp, place: int, index: int) -> str:
    """The initial state [1, H] of a recurrence; empty where it is 0."""
    given = node.inputs[place] if place < len(node.inputs) else ""
    data = edit.constant(given)
    if not given or (data is not None and not data.any()):
        return ""
    first, second, units = edit.tensor(given).shape
    perm = (1, 0, 2) if integer(op, "layout", 0) else (0, 1, 2)
    if data is not None:
        one = data.transpose(perm).reshape(-1, units)[index : index + 1]
        return edit.new_constant(f"{given}.{index}", one)
    given = _moved(edit, node, given, perm)
    rows = _viewed(edit, node, given, (first * second, units))
    return _part(edit, node, rows, (index, 0), 1, (1, units))


def _moved(edit: Edit, node: Node, name: str, perm: tuple[int, ...]) -> str:
    shape = edit.tensor(name).shape
    moved = edit.activation(f"{name}.moved", [shape[axis] for axis in perm], "float32")
    edit.emit(Transpose(perm), [name], [moved], node, name=f"{node.name}.moved")
    return moved


def _viewed(edit: Edit, node: Node, name: str, shape: tuple[int, ...]) -> str:
    viewed = edit.activation(f"{name}.rows", shape, "float32")
    edit.emit(View(), [name], [viewed], node, name=f"{node.name}.rows")
    return viewed


def _part(
    edit: Edit, node: Node, name: str, starts: tuple[int, int], step: int, shape: tuple[int, int]
) -> str:
    """Rows and columns of a matrix; itself where that is all of it."""
    if edit.tensor(name).shape == shape and starts == (0, 0):
        return name
    part = edit.activation(f"{name}.part", shape, "float32")
    edit.emit(Slice(starts, (step, 1)), [name], [part], node, name=f"{node.name}.part")
    return part


def _beside(edit: Edit, node: Node, parts: Sequence[str]) -> str:
    """Matrices [T, H] as [T, N * H]."""
    if len(parts) == 1:
        return parts[0]
    steps, units = edit.tensor(parts[0]).shape
    joined = edit.activation(f"{node.name}.joined", (steps, units * len(parts)), "float32")
    edit.emit(Concat(1), parts, [joined], node, name=f"{node.name}.joined")
    return joined
