# SPDX-License-Identifier: MIT
"""Lower the operators that only move or choose values: they mean the same for every type."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegen.ir import Graph, Node, OnnxOp
from codegen.ops import ArgMax, Concat, MaxPool, Pad, Slice, Transpose, View
from codegen.passes.attributes import integer, integers, text
from codegen.passes.edit import Edit
from codegen.passes.gather import lower_gather
from codegen.passes.quants import known_value
from codegen.passes.resize import lower_resize
from codegen.passes.rows import open_rows
from codegen.passes.windows import close_nhwc, from_nhwc, spatial, to_nhwc, window_of


def lower_movement(graph: Graph) -> Graph:
    """Reshape and kin, Transpose, Slice and kin, Concat, Pad, MaxPool and Resize, lowered."""
    edit = Edit(graph)
    for node in graph.nodes:
        lower = _LOWER.get(node.op.type) if isinstance(node.op, OnnxOp) else None
        if lower is None:
            edit.keep(node)
        else:
            assert isinstance(node.op, OnnxOp)
            lower(edit, node, node.op)
    return edit.done()


def _view(edit: Edit, node: Node, op: OnnxOp) -> None:
    edit.emit(View(), node.inputs[:1], node.outputs, node)


def _transpose(edit: Edit, node: Node, op: OnnxOp) -> None:
    rank = len(edit.tensor(node.inputs[0]).shape)
    perm = integers(op, "perm", tuple(reversed(range(rank))))
    edit.emit(Transpose(tuple(p % rank for p in perm)), node.inputs, node.outputs, node)


def _concat(edit: Edit, node: Node, op: OnnxOp) -> None:
    axis = integer(op, "axis", 0) % len(edit.tensor(node.outputs[0]).shape)
    edit.emit(Concat(axis), node.inputs, node.outputs, node)


def _numbers(edit: Edit, node: Node, index: int, what: str) -> list[int] | None:
    """A constant integer input; None when absent; refuses one computed at run time."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return None
    value = edit.constant(node.inputs[index])
    if value is None:
        edit.refuse(node, f"its {what} are computed at run time")
        return []
    return [int(v) for v in value.reshape(-1)]


def _slice(edit: Edit, node: Node, op: OnnxOp) -> None:
    shape = edit.tensor(node.inputs[0]).shape
    starts, ends = _numbers(edit, node, 1, "starts"), _numbers(edit, node, 2, "ends")
    axes, steps = _numbers(edit, node, 3, "axes"), _numbers(edit, node, 4, "steps")
    if not starts or not ends:
        return
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    begin, step = [0] * len(shape), [1] * len(shape)
    for axis, first, last, by in zip(axes, starts, ends, steps, strict=True):
        # Python clips a slice exactly as ONNX does.
        begin[axis], _, step[axis] = slice(first, last, by).indices(shape[axis])
    if 0 in edit.tensor(node.outputs[0]).shape:
        edit.refuse(node, "its result is empty")
        return
    edit.emit(Slice(tuple(begin), tuple(step)), node.inputs[:1], node.outputs, node)


def _split(edit: Edit, node: Node, op: OnnxOp) -> None:
    shape = edit.tensor(node.inputs[0]).shape
    axis = integer(op, "axis", 0) % len(shape)
    start = 0
    for index, output in enumerate(node.outputs):
        starts = tuple(start if a == axis else 0 for a in range(len(shape)))
        start += edit.tensor(output).shape[axis]
        part = Slice(starts, (1,) * len(shape))
        edit.emit(part, node.inputs[:1], [output], node, name=f"{node.name}.{index}")


def _pad(edit: Edit, node: Node, op: OnnxOp) -> None:
    tensor = edit.tensor(node.inputs[0])
    rank = len(tensor.shape)
    pads, axes = _numbers(edit, node, 1, "pads"), _numbers(edit, node, 3, "axes")
    mode = text(op, "mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        edit.refuse(node, f"mode {mode!r} is not supported")
        return
    if not pads:
        return
    axes = list(range(rank)) if axes is None else [a % rank for a in axes]
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[axis], after[axis] = pads[index], pads[index + len(axes)]
    value = 0.0
    if len(node.inputs) > 2 and node.inputs[2]:
        data = known_value(edit, node.inputs[2])
        if data is None:
            edit.refuse(node, "its value is computed at run time")
            return
        value = float(data.reshape(-1)[0])
    source = _crop(edit, node, before, after)
    before, after = [max(b, 0) for b in before], [max(a, 0) for a in after]
    if any(before) or any(after):
        kind = Pad(tuple(before), tuple(after), mode, value)  # type: ignore[arg-type]
        edit.emit(kind, [source], node.outputs, node)
    else:
        edit.emit(View(), [source], node.outputs, node)


def _crop(edit: Edit, node: Node, before: Sequence[int], after: Sequence[int]) -> str:
    """The padded tensor after what negative pads take away."""
    source = node.inputs[0]
    if min(*before, *after) >= 0:
        return source
    tensor = edit.tensor(source)
    shape = [d + min(b, 0) + min(a, 0) for d, b, a in zip(tensor.shape, before, after, strict=True)]
    cropped = edit.activation(f"{source}.cropped", shape, tensor.dtype, tensor.quant)
    starts = tuple(max(0, -b) for b in before)
    part = Slice(starts, (1,) * len(shape))
    edit.emit(part, [source], [cropped], node, name=f"{node.name}.crop")
    return cropped


def _max_pool(edit: Edit, node: Node, op: OnnxOp) -> None:
    source, target = node.inputs[0], node.outputs[0]
    shape, out_shape = edit.tensor(source).shape, edit.tensor(target).shape
    if len(node.outputs) > 1 and node.outputs[1]:
        edit.refuse(node, "its Indices output is not supported")
        return
    if len(shape) not in (3, 4):
        edit.refuse(node, f"only 1-D and 2-D windows are supported, not shape {list(shape)}")
        return
    kernel = integers(op, "kernel_shape", ())
    window = window_of(op, spatial(shape), spatial(out_shape), kernel)
    inner = to_nhwc(edit, node, source)
    result = from_nhwc(edit, node, target)
    edit.emit(MaxPool(window), [inner], [result], node)
    close_nhwc(edit, node, result, target)


def _resize(edit: Edit, node: Node, op: OnnxOp) -> None:
    kind = lower_resize(edit, node, op)
    if kind is None:
        return
    inner = to_nhwc(edit, node, node.inputs[0])
    result = from_nhwc(edit, node, node.outputs[0])
    edit.emit(kind, [inner], [result], node)
    close_nhwc(edit, node, result, node.outputs[0])


def _argmax(edit: Edit, node: Node, op: OnnxOp) -> None:
    axis, target = integer(op, "axis", 0), node.outputs[0]
    rows = open_rows(edit, node, node.inputs[0], axis)
    result = edit.activation(f"{target}.rows", edit.tensor(rows).shape[:1], "int64")
    kind = ArgMax(bool(integer(op, "select_last_index", 0)))
    edit.emit(kind, [rows], [result], node)
    edit.emit(View(), [result], [target], node, name=f"{node.name}.shape")


_LOWER: dict[str, Callable[[Edit, Node, OnnxOp], None]] = {
    "Reshape": _view, "Flatten": _view, "Squeeze": _view, "Unsqueeze": _view,
    "Transpose": _transpose, "Concat": _concat, "Slice": _slice, "Split": _split, "Pad": _pad,
    "MaxPool": _max_pool, "Resize": _resize, "Gather": lower_gather, "ArgMax": _argmax,
}  # fmt: skip
