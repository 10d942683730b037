# SPDX-License-Identifier: MIT
"""int8 convolutions for cores with the DSP extension and an FPU: M4, M7, M33.

Three ways to bring inputs to `nn_dot_s8_dsp.h`: pixels (1x1), rows of the window (channels in
fours), patches (anything). They differ in the order of weights and in scratch.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from codegen.ir import I8, Graph, Node, Tensor
from codegen.kernels.base import Call, Constant, Overlap
from codegen.kernels.c_text import window_text
from codegen.kernels.fast import Plan, planned
from codegen.kernels.fast_dot import Stream, dot_defines, stream, unrolling
from codegen.kernels.fast_residual import ON_THE_SUMMAND, with_residual
from codegen.kernels.overlap import pixel_by_pixel
from codegen.kernels.reference import constant_input, in_and_out
from codegen.ops import ConvS8, DenseS8, Requant, Window
from codegen.target import Target

_LARGEST_OFFSET = 1020  # of LDRD
_LEAST_HOLD = 7  # columns for which copying weights pays
_STRIP_INSTRUCTIONS = 100  # of a strip more, about, for each row and pair of filters
_LEAST_STRIPPED = 24  # columns that are worth two strips
_HELD_SHARE = 3  # of the layer's tensors together


def _is_target(target: Target) -> bool:
    return target.dsp and target.fpu != "none"


def _tail(made: Stream, requant: Requant, target: Target) -> str:
    """The arguments from `head` to `floats`."""
    head, unroll = unrolling(made.groups, target)
    return (
        f"{head}, {unroll}, {made.shift}, {requant.out_zp}, {requant.lo}, {requant.hi}, "
        f"{int(made.floats)}"
    )


def _held_words(
    node: Node, graph: Graph, made: Stream, target: Target, may_hold: bool = True
) -> int | None:
    """Words of the stream worth a copy in RAM: all, or none where that costs too much of it.

    None where there is nothing to do without.
    """
    x, y = in_and_out(node, graph)
    affordable = 4 * made.words.size * _HELD_SHARE <= x.size_bytes + y.size_bytes
    slow_flash = target.core != "m7"  # which has a data cache
    pays = affordable and slow_flash and target.optimize == "speed"
    if not may_hold:
        return 0 if pays else None
    return made.words.size if pays else 0


def _waiting(made: Stream, runs: int) -> int:
    """What weights in flash cost, about: whenever they are run through, a wait in four words."""
    return made.words.size * runs // 4


def _call(kernel: str, made: Stream, text: str, target: Target) -> Call:
    words = np.append(made.words, np.zeros(8, np.uint32))  # copies go in eights
    constants = (Constant("stream", "uint32_t", words),)
    return Call((f"{kernel}.h",), constants, text, dot_defines(target))


def _weights(node: Node, graph: Graph) -> I8 | None:
    w = constant_input(node, graph, 1)
    return None if w is None else w.astype(np.int8)


def _bias(node: Node, graph: Graph) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None:
    b = constant_input(node, graph, 2)
    return None if b is None else b.astype(np.int32)


def _lead(outputs_end: list[int], inputs_read: list[int], input_bytes: int) -> int:
    """How far before the input an output must start so as never to pass what was read.

    After step i, outputs up to outputs_end[i] are written, for which inputs_read[i] were read; the
    last step may write over everything.
    """
    leads = [
        end - read for end, read in zip(outputs_end, inputs_read, strict=True) if read < input_bytes
    ]
    return max([0, *leads])


def _points(node: Node, graph: Graph, target: Target, may_hold: bool = True) -> Plan | None:
    found = (node.op, None) if isinstance(node.op, DenseS8) else with_residual(node, graph)
    w = _weights(node, graph)
    if found is None or w is None or not _is_target(target):
        return None
    op, residual = found
    if op.w_zp is not None or (residual is not None and target.optimize != "speed"):
        return None  # functions that layers share add nothing
    x, y = in_and_out(node, graph)
    if isinstance(op, ConvS8):
        if op.groups != 1 or op.window.kernel != (1, 1) or any(op.window.pads):
            return None
        batch, in_h, in_w, in_c = x.shape
        _, out_h, out_w, out_c = y.shape
        stride_h, stride_w = op.window.strides
        if (stride_h, stride_w) == (1, 1):
            rows, row_cols, row_step, col_step = 1, batch * in_h * in_w, 0, in_c
        elif batch == 1:
            rows, row_cols = out_h, out_w
            row_step, col_step = stride_h * in_w * in_c, stride_w * in_c
        else:
            return None
    else:
        row_cols, in_c = x.shape
        out_c = y.shape[1]
        rows, row_step, col_step = 1, 0, in_c
        if row_cols < 2:
            return None
    made = stream(w.reshape(out_c, in_c), _bias(node, graph), op.requant, target.requant)
    if made is None or 2 * out_c + 1 > 4095 or made.groups * 24 > 65535:
        return None
    kernel = "nn_conv2d_s8_dsp_points"
    hold = _held_words(node, graph, made, target, may_hold)
    if hold is None:
        return None

    def write() -> Call:
        text = (
            f"{kernel}({rows}, {row_step}, {row_cols}, {col_step}, {in_c}, {out_c}, "
            f"{_tail(made, op.requant, target)}, {hold}, {'&r' if residual else 'NULL'},\n"
            f"    x0, @stream@, y0, scratch);"
        )
        call = _call(kernel, made, text, target)
        return residual.wrap(call) if residual else call

    firsts = [*range(0, row_cols, 3)]
    done = [min(first + 3, row_cols) for first in firsts]
    ends = [(r * row_cols + d) * out_c for r in range(rows) for d in done]
    reads = [r * row_step + (d - 1) * col_step + in_c for r in range(rows) for d in done]
    lead = _lead(ends, reads, x.size_bytes)
    held_bytes = 4 * (hold + 7 & ~7)
    overlaps = ON_THE_SUMMAND if residual else (Overlap(0, 0, lead, exact=False),)
    slower = 0 if may_hold else _waiting(made, prod(y.shape[:-1]) // 3 + 1)
    return Plan(write, 24 * made.groups + held_bytes, overlaps, slower, held_bytes)


def _outlives(node: Node, graph: Graph) -> bool:
    """Whether the input is still read when the node is done, in whatever order nodes run."""
    x, later = node.inputs[0], set(node.outputs)
    for other in graph.nodes:
        if later & set(other.inputs):
            later |= set(other.outputs)
            if x in other.inputs:
                return True
    return False


def _first_strip(out_w: int) -> int:
    """Columns of the first strip of a wide image, a multiple of 3; 4 to 6 are left for the second,
    too few to hold weights for.
    """
    return (out_w - 4) // 3 * 3 if out_w >= _LEAST_STRIPPED else out_w


def _can_strip(strip: int, x: Tensor, y: Tensor, window: Window) -> bool:
    """Whether each strip but the first is right of the padding, begins within the image, and has
    two columns or more."""
    last = (y.shape[2] - 1) // strip * strip
    stride, pad_left = window.strides[1], window.pads[1]
    inside = strip * stride >= pad_left and last * stride - pad_left < x.shape[2]
    return inside and 0 < last <= y.shape[2] - 2


def _rows(node: Node, graph: Graph, target: Target, columns: int | None = None) -> Plan | None:
    found = with_residual(node, graph)
    w = _weights(node, graph)
    if found is None or w is None or not _is_target(target):
        return None
    op, residual = found
    if op.w_zp is not None or (residual is not None and target.optimize == "size"):
        return None  # functions that layers share add nothing
    x, y = in_and_out(node, graph)
    batch, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    window = op.window
    (kernel_h, kernel_w), (stride_h, stride_w) = window.kernel, window.strides
    pitch = 2 * stride_w * kernel_h * in_c
    # Where y cannot lie on x anyway, strips save RAM; they take one to three percent longer.
    apart = residual is not None or _outlives(node, graph)
    wanted = _first_strip(out_w) if apart and target.optimize != "speed" else out_w
    strip = columns or wanted
    if not _can_strip(strip, x, y, window):
        if columns is not None:
            return None
        strip = out_w
    width = (strip - 1) * stride_w + kernel_w
    if (
        op.groups != 1
        or in_c % 4
        or window.dilations != (1, 1)
        or pitch > _LARGEST_OFFSET
        or 3 * out_c > 4095
        or width <= window.pads[1]
    ):
        return None
    ordered = w.transpose(0, 2, 1, 3).reshape(out_c, -1)  # [Co][kw][kh][Ci]
    made = stream(ordered, _bias(node, graph), op.requant, target.requant)
    if made is None or made.groups * 8 > 65535:
        return None
    kernel = "nn_conv2d_s8_dsp_rows"

    def write() -> Call:
        text = (
            f"{kernel}({batch}, {in_h}, {in_w}, {in_c}, {out_h}, {out_w}, {out_c}, "
            f"{kernel_h}, {kernel_w}, {stride_h}, {stride_w}, {window.pads[0]}, {window.pads[1]}, "
            f"{op.requant.in_zp},\n    {strip}, {_tail(made, op.requant, target)}, {hold}, "
            f"{'&r' if residual else 'NULL'},\n    x0, @stream@, y0, scratch);"
        )
        call = _call(kernel, made, text, target)
        return residual.wrap(call) if residual else call

    holds = target.core != "m7" and strip >= _LEAST_HOLD and target.optimize != "size"
    hold = _LEAST_HOLD if holds else 0
    ends = [(oh + 1) * out_w * out_c for oh in range(out_h)]
    rows_read = [
        min(max(oh * stride_h - window.pads[0] + kernel_h, 0), in_h) for oh in range(out_h)
    ]
    reads = [r * in_w * in_c for r in rows_read]
    overlaps: tuple[Overlap, ...] = ()
    if residual is not None:
        overlaps = ON_THE_SUMMAND
    elif strip == out_w and batch == 1:
        overlaps = (Overlap(0, 0, _lead(ends, reads, x.size_bytes), exact=False),)
    scratch_bytes = 2 * kernel_h * in_c * width
    scratch_bytes += 4 * ((2 * made.groups + 14) & ~7) if hold else 0
    slower = out_h * out_c * (made.groups + 4) if hold else _waiting(made, -(-out_w // 3) * out_h)
    calls = batch * out_h * ((out_c + 1) // 2) * ((out_w - 1) // strip)
    slower += _STRIP_INSTRUCTIONS * calls
    return Plan(write, scratch_bytes, overlaps, slower)


def _patch_order(rows: int, run: int) -> list[int]:
    """The order of a window's inputs: whole words of each row, then what remains of the rows."""
    whole = run & ~3
    words = [r * run + i for r in range(rows) for i in range(whole)]
    return words + [r * run + i for r in range(rows) for i in range(whole, run)]


def _patches(node: Node, graph: Graph, target: Target, may_hold: bool = True) -> Plan | None:
    op = node.op
    w = _weights(node, graph)
    if not isinstance(op, ConvS8) or op.w_zp is not None or w is None or not _is_target(target):
        return None
    x, y = in_and_out(node, graph)
    out_c = y.shape[3]
    if op.groups != 1 or 2 * out_c + 1 > 4095:
        return None
    kernel_h, kernel_w = op.window.kernel
    order = _patch_order(kernel_h, kernel_w * x.shape[3])
    made = stream(w.reshape(out_c, -1)[:, order], _bias(node, graph), op.requant, target.requant)
    if made is None or made.groups * 24 > 65535:
        return None
    kernel = "nn_conv2d_s8_dsp_patches"
    hold = _held_words(node, graph, made, target, may_hold)
    if hold is None:
        return None

    def write() -> Call:
        text = (
            f"{window_text(op.window, x.shape, y.shape)}\n"
            f"{kernel}(&p, {op.requant.in_zp}, {_tail(made, op.requant, target)}, {hold},\n"
            f"    x0, @stream@, y0, scratch);"
        )
        return _call(kernel, made, text, target)

    held_bytes = 4 * (hold + 7 & ~7)
    scratch_bytes = 24 * made.groups + held_bytes + w[0].size
    slower = 0 if may_hold else _waiting(made, prod(y.shape[:-1]) // 3 + 1)
    return Plan(write, scratch_bytes, pixel_by_pixel(node, graph), slower, held_bytes)


IN_STRIPS = tuple(
    planned("nn_conv2d_s8_dsp_rows", partial(_rows, columns=columns), f" in strips of {columns}")
    for columns in (6,)
)
"""The same with less scratch, which holds the inputs of some columns of outputs at a time."""

FAST = (
    planned("nn_conv2d_s8_dsp_points", _points),
    planned("nn_conv2d_s8_dsp_rows", _rows),
    planned("nn_conv2d_s8_dsp_patches", _patches),
)

FROM_FLASH = tuple(
    planned(variant.name, partial(make, may_hold=False), " with its weights in flash")
    for variant, make in ((FAST[0], _points), (FAST[2], _patches))
)
"""The same without a copy of hot weights in RAM."""
