# SPDX-License-Identifier: MIT
"""ConvTranspose as ordinary convolutions, one for each phase of the output.

With stride s, the outputs whose index is r modulo s see the same taps of the kernel: they are a
convolution of stride 1 with those taps alone. The phases are interleaved at the end, so that each
product is computed once and nothing is accumulated outside of registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from codegen.ir import I32, Array, Node, OnnxOp, Quant, Tensor
from codegen.ops import Concat, ConvF32, ConvS8, Quantize, Slice, Transpose, View, Window
from codegen.passes.attributes import integer, integers, text
from codegen.passes.edit import Edit
from codegen.passes.integer_linear import linear_of, weights_of
from codegen.passes.quants import int8_source, real_literal
from codegen.passes.windows import close_nhwc, from_nhwc, pair, spatial, to_nhwc

Pair = tuple[int, int]
Make = Callable[[Window, int], ConvS8 | ConvF32]
"""A convolution with this window and this many copies of the output channels."""


@dataclass(frozen=True, slots=True)
class _Phase:
    """Along one axis, output q * stride + r is the sum of x[q + first + j * step] * w[taps[j]].

    A tap of -1 has no weight.
    """

    taps: tuple[int, ...]
    first: int
    step: int


def _phases(kernel: int, stride: int, dilation: int, pad: int) -> list[_Phase]:
    step = dilation // gcd(stride, dilation)
    phases: list[_Phase] = []
    for r in range(stride):
        reach = [(r + pad - k * dilation, k) for k in range(kernel)]
        found = {far // stride: k for far, k in reach if far % stride == 0} or {0: -1}
        first = min(found)
        while first > 0:  # a window cannot start inside the image
            first -= step
        places = range(first, max(found) + 1, step)
        phases.append(_Phase(tuple(found.get(at, -1) for at in places), first, step))
    return phases


def lower_transposed_s8(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    """Dequantize -> ConvTranspose -> Quantize, which ONNX Runtime leaves in float, in integers."""
    found, tensor = int8_source(edit, node.inputs[0]), weights_of(edit, node)
    weights = None if tensor is None else _filters(tensor, integer(op, "group", 1))
    if found is None or weights is None:
        return False
    bias = _real_bias(edit, node)
    linear = linear_of(weights, 0, found[1], to, bias) if bias is not None else None
    if linear is None:
        return False
    requant, w_zp = linear.requant, linear.w_zp

    def make(window: Window, copies: int) -> ConvS8:
        multiplier = requant.multiplier
        if multiplier.size > 1:
            multiplier = np.tile(multiplier, copies)
        points = None if w_zp is None else np.tile(w_zp, copies)
        return ConvS8(
            window, integer(op, "group", 1), replace(requant, multiplier=multiplier), points
        )

    fill = np.zeros(len(linear.bias), np.int32) if w_zp is None else w_zp
    target = quantize.outputs[0]
    _emit(edit, node, op, found[0], target, linear.weights, linear.bias, fill, make, quantize)
    return True


def lower_transposed_f32(edit: Edit, node: Node, op: OnnxOp) -> None:
    """A float32 ConvTranspose with constant weights."""
    tensor, groups = edit.tensor(node.inputs[1]), integer(op, "group", 1)
    weights = _filters(tensor, groups)
    bias = _real_bias(edit, node)
    if weights is None or weights.data is None or bias is None:
        edit.refuse(node, "its weights or bias are no constants of a 1-D or 2-D filter")
        return
    assert bias.data is not None
    count = len(weights.data)
    vector = np.broadcast_to(bias.data.astype(np.float32), (count,))
    _emit(
        edit, node, op, node.inputs[0], node.outputs[0], weights.data, vector,
        np.zeros(count, np.int32), lambda window, copies: ConvF32(window, groups),
    )  # fmt: skip


def _filters(weights: Tensor, groups: int) -> Tensor | None:
    """Constant weights [Ci, Co/groups, ...] as [Co, Kh, Kw, Ci/groups], parameters per Co or one.

    None for other than 1-D and 2-D constants, or parameters per input channel.
    """
    data, quant = weights.data, weights.quant
    if data is None or data.ndim not in (3, 4):
        return None
    if data.ndim == 3:
        data = data[:, :, None, :]
    each, height, width = data.shape[1:]
    split = data.reshape(groups, -1, each, height, width).transpose(0, 2, 3, 4, 1)
    filters = np.ascontiguousarray(split.reshape(groups * each, height, width, -1))
    if quant is not None and quant.axis is not None:
        if quant.axis != 1:
            return None
        quant = Quant(np.tile(quant.scale, groups), np.tile(quant.zero_point, groups), 0)
    return replace(weights, data=filters, shape=filters.shape, quant=quant)


def _real_bias(edit: Edit, node: Node) -> Tensor | None:
    """The bias as a float32 vector, zero where there is none; None when it is no constant."""
    values: Array | None = np.zeros(1, np.float32)
    if len(node.inputs) > 2 and node.inputs[2]:
        values = real_literal(edit, node.inputs[2])
    if values is None:
        return None
    return Tensor(f"{node.name}.bias", (values.size,), "float32", values.reshape(-1))


def _geometry(edit: Edit, op: OnnxOp, source: str, target: str, kernel: Pair) -> list[list[_Phase]]:
    """The phases of both axes."""
    shape, out_shape = edit.tensor(source).shape, edit.tensor(target).shape
    rank = len(shape) - 2
    strides = pair(integers(op, "strides", (1,) * rank))
    dilations = pair(integers(op, "dilations", (1,) * rank))
    extra = integers(op, "output_padding", (0,) * rank)
    extra = (0, *extra) if rank == 1 else extra
    pads = integers(op, "pads", (0,) * (2 * rank))
    begin = list((0, pads[0]) if rank == 1 else pads[:2])
    auto_pad = text(op, "auto_pad", "NOTSET")
    sizes = zip(spatial(shape), spatial(out_shape), strict=True)
    for axis, (size, out) in enumerate(sizes):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        total = max(0, strides[axis] * (size - 1) + extra[axis] + reach - out)
        if auto_pad.startswith("SAME") or "output_shape" in op.attrs:
            begin[axis] = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
        elif auto_pad == "VALID":
            begin[axis] = 0
    return [_phases(*each) for each in zip(kernel, strides, dilations, begin, strict=True)]


def _emit(
    edit: Edit,
    node: Node,
    op: OnnxOp,
    source: str,
    target: str,
    weights: Array,
    bias: Array,
    fill: I32,
    make: Make,
    *origins: Node,
) -> None:
    """Convolutions of `source` and their interleaving to `target`; `fill` is a weight of nothing.

    Where all phases have the same window, one convolution has the channels of all.
    """
    rows, cols = _geometry(edit, op, source, target, weights.shape[1:3])
    inner = to_nhwc(edit, node, source)
    output = from_nhwc(edit, node, target)
    batch, out_h, out_w, channels = edit.tensor(output).shape
    height, width = -(-out_h // len(rows)), -(-out_w // len(cols))
    places = [(row, col) for row in rows for col in cols]
    tensor, in_hw = edit.tensor(output), spatial(edit.tensor(source).shape)

    def convolve(group: list[tuple[_Phase, _Phase]], hint: str) -> str:
        row, col = group[0]
        window = _window(row, col, in_hw, (height, width))
        filters = np.concatenate([_taps(weights, fill, *each) for each in group])
        constants = [
            edit.new_constant(f"{hint}.weights", filters),
            edit.new_constant(f"{hint}.bias", np.tile(bias, len(group))),
        ]
        shape = (batch, height, width, channels * len(group))
        result = edit.activation(f"{hint}.phase", shape, tensor.dtype, tensor.quant)
        kind = make(window, len(group))
        edit.emit(kind, [inner, *constants], [result], node, *origins, name=hint)
        return result

    def moved(name: str, kind: View | Transpose | Concat | Slice, shape: tuple[int, ...],
              *more: str) -> str:  # fmt: skip
        result = edit.activation(f"{target}.moved", shape, tensor.dtype, tensor.quant)
        edit.emit(kind, [name, *more], [result], node, name=f"{node.name}.interleave")
        return result

    windows = {(len(row.taps), row.first, len(col.taps), col.first) for row, col in places}
    tall, wide = len(rows), len(cols)
    if integer(op, "group", 1) == 1 and len(windows) == 1:
        whole = convolve(places, node.name)
        split = moved(whole, View(), (batch, height, width, tall, wide, channels))
        perm = (0, 1, 3, 2, 4, 5)
    else:
        parts = [convolve([place], f"{node.name}.{i}") for i, place in enumerate(places)]
        parts = [moved(part, View(), (1, batch, height, width, channels)) for part in parts]
        stack = moved(parts[0], Concat(0), (len(parts), batch, height, width, channels), *parts[1:])
        split = moved(stack, View(), (tall, wide, batch, height, width, channels))
        perm = (2, 3, 0, 4, 1, 5)
    woven = moved(split, Transpose(perm), (batch, height, tall, width, wide, channels))
    shape = (batch, height * tall, width * wide, channels)
    full = moved(woven, View(), shape)
    crop = View() if shape == tensor.shape else Slice((0,) * 4, (1,) * 4)
    edit.emit(crop, [full], [output], node, name=f"{node.name}.crop")
    close_nhwc(edit, node, output, target)


def _window(row: _Phase, col: _Phase, in_hw: Pair, out_hw: Pair) -> Window:
    ends = [
        max(0, out - 1 + phase.first + (len(phase.taps) - 1) * phase.step - (size - 1))
        for phase, size, out in zip((row, col), in_hw, out_hw, strict=True)
    ]
    return Window(
        kernel=(len(row.taps), len(col.taps)),
        pads=(-row.first, -col.first, ends[0], ends[1]),
        dilations=(row.step, col.step),
    )


def _taps(weights: Array, fill: I32, row: _Phase, col: _Phase) -> Array:
    """The part [Co, taps, taps, Ci] of [Co, Kh, Kw, Ci] that a phase sees."""
    nothing = fill.astype(weights.dtype)[:, None, None, None]
    count, height, width, depth = weights.shape
    padded = np.broadcast_to(nothing, (count, height + 1, width + 1, depth)).copy()
    padded[:, :height, :width] = weights  # and -1, the last row or column, is nothing
    return padded[:, list(row.taps)][:, :, list(col.taps)]
