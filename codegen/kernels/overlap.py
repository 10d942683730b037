# SPDX-License-Identifier: MIT
"""How near to its input a kernel may write, by the order in which it runs through its output."""

from __future__ import annotations

import numpy as np

from codegen.ir import ITEM_BYTES, Graph, Node, Tensor
from codegen.kernels.base import Overlap
from codegen.kernels.reference import in_and_out
from codegen.ops import Window


def pixel_by_pixel(node: Node, graph: Graph) -> tuple[Overlap, ...]:
    """The overlap of a kernel that writes rows, columns, channels in their order, each of a pixel's
    channels after it has read the pixel's window (or a part of it), and keeps nothing.

    For one image; over several, the windows of the next would have to be counted too.
    """
    window = getattr(node.op, "window", None)
    x, y = in_and_out(node, graph)
    if not isinstance(window, Window) or len(x.shape) != 4 or x.shape[0] != 1:
        return ()
    lead_bytes = window_lead(window, x.shape, y.shape) * ITEM_BYTES[x.dtype]
    return (Overlap(0, 0, lead_bytes, exact=False),) if x.dtype == y.dtype else ()


def channel_by_channel(x: Tensor, y: Tensor) -> tuple[Overlap, ...]:
    """The overlap of a kernel that writes all outputs of one channel after it has read all of that
    channel's inputs: y may lie on x, also with a stride, as MCUNet does it.

    The outputs of a channel go to addresses that only this channel's inputs had: equal modulo the
    number of channels.
    """
    one_image = x.shape[0] == 1
    takes_it = one_image and x.shape[3] == y.shape[3] and y.size_bytes <= x.size_bytes
    return (Overlap(0, 0),) if takes_it else ()


def window_lead(window: Window, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
    """Elements by which y must start before x, negative when it may start after it.

    While a pixel is written, its own window and those of all later pixels may still be read. None
    of them lies below the start of its own window's rows, or of the next row's.
    """
    _, in_h, in_w, in_c = x_shape
    _, out_h, out_w, out_c = y_shape
    rows, cols = np.arange(out_h + 1), np.arange(out_w)
    first_row = np.clip(rows * window.strides[0] - window.pads[0], 0, in_h)
    first_col = np.clip(cols * window.strides[1] - window.pads[1], 0, in_w)
    here = (first_row[:-1, None] * in_w + first_col) * in_c
    # Below the last row nothing is read any more.
    following = first_row[1:] * in_w * in_c
    following[-1] = in_h * in_w * in_c
    still_read = np.minimum(here, following[:, None])
    written = (rows[:-1, None] * out_w + cols + 1) * out_c
    return int((written - still_read).max())
