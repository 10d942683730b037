# SPDX-License-Identifier: MIT
"""About how many instructions a layer takes with a kernel: what a choice for memory costs.

Per multiplication and per output element, fitted to the counts of published networks on Cortex-M4
(M0+ for kernels that only it has). Mean error of a layer 10 %, at worst 60 %: enough to rank
programs; the report of the one that was chosen has the count.
"""

from __future__ import annotations

from math import prod

from codegen.ir import Graph, Node
from codegen.kernels.base import Variant
from codegen.ops import ConvAddS8, ConvF32, ConvS8, DenseF32, DenseS8
from codegen.target import Target

_FITTED = {
    "nn_conv2d_s8_dsp_points": (0.88, 8.0),
    "nn_conv2d_s8_dsp_rows": (0.88, 8.0),  # 0.84 by itself; a tie where both take a layer
    "nn_conv2d_s8_dsp_patches": (0.91, 9.5),
    "nn_conv2d_s8_v6m": (2.29, 47.5),
    "nn_conv2d_s8": (6.28, 19.9),
    "nn_conv2d_f32_blocked": (1.01, 24.9),
    "nn_conv2d_f32": (3.64, 210.8),
    "nn_depthwise_s8_dsp3x3": (1.99, 0.0),
    "nn_depthwise_s8_dsp": (1.87, 14.6),
    "nn_depthwise_s8_v6m3x3": (10.6, 0.0),
    "nn_depthwise_s8": (16.9, 0.0),
    "nn_depthwise_f32": (16.9, 0.0),
    "nn_dense_s8_dsp": (1.0, 5.1),
    "nn_dense_s8_dsp_long": (2.92, 40.8),
    "nn_dense_s8_v6m": (3.41, 58.2),
    "nn_dense_s8": (6.03, 15.2),
    "nn_dense_f32_blocked": (1.11, 40.4),
    "nn_dense_f32": (5.99, 15.7),
    "nn_add_s8_dsp": (0.0, 6.8),
    "nn_add_s8": (0.0, 19.3),
}
_OTHER = (0.0, 17.0)


def macs(node: Node, graph: Graph) -> int:
    """Multiplications of a convolution or a fully connected layer, else 0; padding counts."""
    if not isinstance(node.op, ConvS8 | ConvAddS8 | ConvF32 | DenseS8 | DenseF32):
        return 0
    y, w = graph.tensors[node.outputs[0]], graph.tensors[node.inputs[1]]
    return prod(y.shape) * prod(w.shape[1:])


def instructions(variant: Variant, node: Node, graph: Graph, target: Target) -> int:
    """Of one layer, about."""
    per_mac, per_element = _FITTED.get(variant.name, _OTHER)
    elements = prod(graph.tensors[node.outputs[0]].shape)
    extra = variant.extra_instructions(node, graph, target)
    return int(per_mac * macs(node, graph) + per_element * elements) + extra
