# SPDX-License-Identifier: MIT
"""Nearest-neighbour Resize as two tables of source indices, by ONNX Runtime's float32 sums."""

from __future__ import annotations

import numpy as np

from codegen.ir import Node, OnnxOp
from codegen.ops import Resize
from codegen.passes.attributes import text
from codegen.passes.edit import Edit


def lower_resize(edit: Edit, node: Node, op: OnnxOp) -> Resize | None:
    """The lowered operator, or None after noting why there is none."""
    shape, out_shape = edit.tensor(node.inputs[0]).shape, edit.tensor(node.outputs[0]).shape
    mode = text(op, "mode", "nearest")
    frame = text(op, "coordinate_transformation_mode", "half_pixel")
    nearest = text(op, "nearest_mode", "round_prefer_floor")
    if mode != "nearest" or frame not in _FRAMES or nearest not in _NEAREST:
        edit.refuse(node, f"mode {mode!r} with {frame!r} and {nearest!r} is not supported")
        return None
    if len(shape) not in (3, 4) or shape[:2] != out_shape[:2]:
        edit.refuse(node, f"only H and W can be resized, not {list(shape)} to {list(out_shape)}")
        return None
    scales = edit.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    tables = []
    for axis in range(2, len(shape)):
        size, out_size = shape[axis], out_shape[axis]
        scale = np.float32(out_size) / np.float32(size)
        if scales is not None and scales.size == len(shape):
            scale = np.float32(scales.reshape(-1)[axis])
        tables.append(_sources(size, out_size, scale, frame, nearest))
    rows = tables[0] if len(shape) == 4 else (0,)
    return Resize(rows, tables[-1])


_FRAMES = (
    "half_pixel",
    "pytorch_half_pixel",
    "asymmetric",
    "align_corners",
    "half_pixel_symmetric",
)
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _sources(
    size: int, out_size: int, scale: np.float32, frame: str, nearest: str
) -> tuple[int, ...]:
    """For each output index, the input index that is nearest by the file's rule."""
    if scale == 1 or size == out_size == 1:
        return tuple(range(out_size))
    x = np.arange(out_size, dtype=np.float32)
    half = np.float32(0.5)
    if frame == "asymmetric":
        source = x / scale
    elif frame == "align_corners":
        source = x * np.float32(size - 1) / np.float32(out_size - 1) if out_size > 1 else x * 0
    elif frame == "pytorch_half_pixel" and out_size == 1:
        source = x * 0
    else:
        source = (x + half) / scale - half
        if frame == "half_pixel_symmetric":
            adjustment = np.float32(out_size) / (scale * np.float32(size))
            centre = np.float32(size) / np.float32(2)
            source = source * 1 + centre * (1 - adjustment)
    if nearest == "floor":
        index = np.floor(source)
    elif nearest == "ceil":
        index = np.ceil(source)
    elif nearest == "round_prefer_floor":
        index = np.ceil(source - half)
    else:
        index = np.floor(source + half)
    return tuple(int(i) for i in np.clip(index, 0, size - 1))
