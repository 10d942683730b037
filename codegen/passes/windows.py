# SPDX-License-Identifier: MIT
"""Sliding windows and the channels-last frame around spatial operators.

ONNX puts channels first; kernels want them last. A spatial operator is lowered between two
Transposes, and `codegen.passes.layout` later cancels nearly all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir import Node, OnnxOp
from codegen.ops import Transpose, View, Window
from codegen.passes.attributes import integer, integers, text
from codegen.passes.edit import Edit


def window_of(
    op: OnnxOp, in_hw: tuple[int, int], out_hw: tuple[int, int], kernel: Sequence[int]
) -> Window:
    """The window of a Conv or pool whose input and inferred output have these spatial sizes.

    `kernel` is the file's kernel shape (one or two numbers). Explicit or automatic padding becomes
    explicit; where ceil_mode adds a last row or column, the end padding grows to hold it.
    """
    rank = len(kernel)
    strides = pair(integers(op, "strides", (1,) * rank))
    dilations = pair(integers(op, "dilations", (1,) * rank))
    extent = tuple((k - 1) * d + 1 for k, d in zip(pair(kernel), dilations, strict=True))
    auto_pad = text(op, "auto_pad", "NOTSET")
    begin, end = [0, 0], [0, 0]
    for axis in (0, 1):
        span = (out_hw[axis] - 1) * strides[axis] + extent[axis]
        total = max(0, span - in_hw[axis])
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            small, large = total // 2, total - total // 2
            begin[axis], end[axis] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
        elif auto_pad == "NOTSET":
            pads = integers(op, "pads", (0,) * (2 * rank))
            pads = pads if rank == 2 else (0, pads[0], 0, pads[1])
            begin[axis], end[axis] = pads[axis], max(pads[axis + 2], total - pads[axis])
    return Window(
        kernel=pair(kernel),
        strides=strides,
        pads=(begin[0], begin[1], end[0], end[1]),
        dilations=dilations,
    )


def ceil_grows(op: OnnxOp, window: Window) -> bool:
    """Whether ceil_mode made the end padding larger than the file's own."""
    if not integer(op, "ceil_mode", 0):
        return False
    pads = integers(op, "pads", (0,) * 4)
    pads = pads if len(pads) == 4 else (0, pads[0], 0, pads[1])
    return (window.pads[2], window.pads[3]) != pads[2:]


def spatial(shape: Sequence[int]) -> tuple[int, int]:
    """(H, W) of an ONNX shape [N, C, H, W] or [N, C, W]."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def pair(values: Sequence[int]) -> tuple[int, int]:
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def to_nhwc(edit: Edit, node: Node, name: str) -> str:
    """Channels-first `name` of rank 3 or 4, as [N, H, W, C]."""
    tensor = edit.tensor(name)
    n, c = tensor.shape[:2]
    h, w = spatial(tensor.shape)
    if len(tensor.shape) == 3:
        wide = edit.activation(f"{name}.2d", (n, c, 1, w), tensor.dtype, tensor.quant)
        edit.emit(View(), [name], [wide], node, name=f"{node.name}.2d")
        name = wide
    last = edit.activation(f"{name}.nhwc", (n, h, w, c), tensor.dtype, tensor.quant)
    edit.emit(Transpose((0, 2, 3, 1)), [name], [last], node, name=f"{node.name}.nhwc")
    return last


def from_nhwc(edit: Edit, node: Node, name: str) -> str:
    """Declare the channels-last twin of `name` (an ONNX result), which is to be written from it."""
    tensor = edit.tensors[name]
    n, c = tensor.shape[:2]
    h, w = spatial(tensor.shape)
    last = edit.activation(f"{name}.nhwc", (n, h, w, c), tensor.dtype, tensor.quant)
    return last


def close_nhwc(edit: Edit, node: Node, last: str, name: str) -> None:
    """Write the ONNX result `name` from `last`, which an operator has made by now."""
    tensor = edit.tensors[name]
    back = Transpose((0, 3, 1, 2))
    if len(tensor.shape) == 4:
        edit.emit(back, [last], [name], node, name=f"{node.name}.nchw")
        return
    n, c, w = tensor.shape
    wide = edit.activation(f"{name}.2d", (n, c, 1, w), tensor.dtype, tensor.quant)
    edit.emit(back, [last], [wide], node, name=f"{node.name}.nchw")
    edit.emit(View(), [wide], [name], node, name=f"{node.name}.1d")
