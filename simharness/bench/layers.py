# SPDX-License-Identifier: MIT
"""The layers that kernels are compared on: those of the published baselines, with random weights.

Requantization spreads the sums over int8, with a multiplier per channel and input zero point -128,
as in the baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from codegen import ops, oracle
from codegen.ir import Array, DType, Graph, Node, Tensor
from codegen.ops import Op

_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class BenchLayer:
    """One layer: a graph of one node, values for its inputs, and its multiply-accumulates."""

    name: str
    what: str
    graph: Graph
    values: Mapping[str, Array]
    macs: int

    @property
    def node(self) -> Node:
        return self.graph.nodes[0]


def _layer(
    name: str, what: str, op: Op, inputs: Mapping[str, Array],
    constants: Mapping[str, Array], y_shape: tuple[int, ...], macs: int,
) -> BenchLayer:  # fmt: skip
    dtype: DType = "int8" if next(iter(inputs.values())).dtype == np.int8 else "float32"
    tensors = {n: Tensor(n, v.shape, v.dtype.name) for n, v in inputs.items()}  # type: ignore[arg-type]
    tensors |= {n: Tensor(n, v.shape, v.dtype.name, v) for n, v in constants.items()}  # type: ignore[arg-type]
    tensors["y"] = Tensor("y", y_shape, dtype)
    node = Node(name, op, (*inputs, *constants), ("y",), (name,))
    graph = Graph(name, tensors, (node,), tuple(inputs), ("y",))
    return BenchLayer(name, what, graph, inputs, macs)


def _int8(rng: np.random.Generator, shape: tuple[int, ...], least: int = -128) -> Array:
    return rng.integers(least, 128, shape).astype(np.int8)


def _calibrated(layer: BenchLayer, rng: np.random.Generator) -> BenchLayer:
    """The layer with multipliers that spread its sums over most of int8."""
    op = layer.node.op
    assert isinstance(op, ops.ConvS8 | ops.DenseS8)
    sums = oracle.accumulators(layer.node, layer.graph, layer.values)
    assert sums is not None
    spread = 100.0 / float(np.abs(sums).max())
    multiplier = (rng.uniform(0.5, 1.5, op.requant.multiplier.size) * spread).astype(np.float32)
    node = replace(layer.node, op=replace(op, requant=replace(op.requant, multiplier=multiplier)))
    return replace(layer, graph=replace(layer.graph, nodes=(node,)))


def _requant(channels: int) -> ops.Requant:
    return ops.Requant(np.ones(channels, np.float32), -128, -20)


def conv_s8(
    name: str, h: int, w: int, in_c: int, out_c: int, *, kernel: int, stride: int = 1,
    depthwise: bool = False,
) -> BenchLayer:  # fmt: skip
    """A square int8 convolution with padding that keeps the size (divided by the stride)."""
    rng = np.random.default_rng(_SEED)
    pad = kernel // 2
    out_h, out_w = (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1
    group_in = 1 if depthwise else in_c
    op = ops.ConvS8(
        ops.Window((kernel, kernel), (stride, stride), (pad,) * 4),
        in_c if depthwise else 1,
        _requant(out_c),
    )
    constants = {
        "w": _int8(rng, (out_c, kernel, kernel, group_in), -127),
        "b": rng.integers(-2000, 2000, out_c).astype(np.int32),
    }
    what = f"{'depthwise' if depthwise else 'conv'} {kernel}x{kernel} s{stride} {h}x{w}x{in_c}"
    macs = out_h * out_w * out_c * kernel * kernel * group_in
    layer = _layer(
        name, what + ("" if depthwise else f"->{out_c}"), op, {"x": _int8(rng, (1, h, w, in_c))},
        constants, (1, out_h, out_w, out_c), macs,
    )  # fmt: skip
    return _calibrated(layer, rng)


def dense_s8(name: str, depth: int, cols: int) -> BenchLayer:
    """An int8 fully connected layer."""
    rng = np.random.default_rng(_SEED)
    constants = {
        "w": _int8(rng, (cols, depth), -127),
        "b": rng.integers(-2000, 2000, cols).astype(np.int32),
    }
    layer = _layer(
        name, f"fully connected {depth}->{cols}", ops.DenseS8(_requant(cols)),
        {"x": _int8(rng, (1, depth))}, constants, (1, cols), depth * cols,
    )  # fmt: skip
    return _calibrated(layer, rng)


def add_s8(name: str, shape: tuple[int, ...]) -> BenchLayer:
    """A sum of two int8 tensors of different scales."""
    rng = np.random.default_rng(_SEED)
    op = ops.BinaryS8("add", 0.0235, -128, 0.0317, 3, 0.0401, -128)
    what = f"add {'x'.join(map(str, shape[1:]))}"
    values = {"a": _int8(rng, shape), "b": _int8(rng, shape)}
    return _layer(name, what, op, values, {}, shape, 0)


def pool_s8(name: str, side: int, channels: int) -> BenchLayer:
    """A global average of an int8 tensor."""
    rng = np.random.default_rng(_SEED)
    op = ops.AvgPoolS8(
        ops.Window((side, side), (side, side)), False, "global", 0.02, -128, 0.02, -128
    )
    x = _int8(rng, (1, side, side, channels))
    what = f"global average {side}x{side}x{channels}"
    return _layer(name, what, op, {"x": x}, {}, (1, 1, 1, channels), 0)


def maxpool(name: str, side: int, channels: int, dtype: DType = "int8") -> BenchLayer:
    """The largest of each 2x2."""
    rng = np.random.default_rng(_SEED)
    shape, half = (1, side, side, channels), side // 2
    x = _int8(rng, shape) if dtype == "int8" else _real(rng, shape)
    what = f"largest of 2x2 {side}x{side}x{channels}{'' if dtype == 'int8' else ' float32'}"
    op = ops.MaxPool(ops.Window((2, 2), (2, 2)))
    return _layer(name, what, op, {"x": x}, {}, (1, half, half, channels), 0)


def softmax_s8(name: str, classes: int) -> BenchLayer:
    rng = np.random.default_rng(_SEED)
    op = ops.SoftmaxS8(0.1, 0, 1 / 256, -128)
    x = _int8(rng, (1, classes))
    return _layer(name, f"softmax {classes}", op, {"x": x}, {}, (1, classes), 0)


def _real(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def conv_f32(name: str, side: int, in_c: int, out_c: int) -> BenchLayer:
    """A 3x3 float convolution without padding."""
    rng = np.random.default_rng(_SEED)
    out = side - 2
    constants = {"w": _real(rng, (out_c, 3, 3, in_c)), "b": _real(rng, (out_c,))}
    return _layer(
        name, f"conv 3x3 {side}x{side}x{in_c}->{out_c} float32",
        ops.ConvF32(ops.Window((3, 3)), 1), {"x": _real(rng, (1, side, side, in_c))},
        constants, (1, out, out, out_c), out * out * out_c * 9 * in_c,
    )  # fmt: skip


def depthwise_f32(
    name: str, h: int, w: int, channels: int, *, kernel: int, stride: int
) -> BenchLayer:
    """A square float depthwise convolution with padding that keeps the size (or divides it)."""
    rng = np.random.default_rng(_SEED)
    out_h, out_w = -(-h // stride), -(-w // stride)
    constants = {"w": _real(rng, (channels, kernel, kernel, 1)), "b": _real(rng, (channels,))}
    window = ops.Window((kernel, kernel), (stride, stride), (kernel // 2,) * 4)
    return _layer(
        name, f"depthwise {kernel}x{kernel} s{stride} {h}x{w}x{channels} float32",
        ops.ConvF32(window, channels, 0.0), {"x": _real(rng, (1, h, w, channels))},
        constants, (1, out_h, out_w, channels), out_h * out_w * channels * kernel * kernel,
    )  # fmt: skip


def dense_f32(name: str, depth: int, cols: int) -> BenchLayer:
    rng = np.random.default_rng(_SEED)
    constants = {"w": _real(rng, (cols, depth)), "b": _real(rng, (cols,))}
    return _layer(
        name, f"fully connected {depth}->{cols} float32", ops.DenseF32(),
        {"x": _real(rng, (1, depth))}, constants, (1, cols), depth * cols,
    )  # fmt: skip


LAYERS: Mapping[str, Callable[[str], BenchLayer]] = {
    "L1": lambda n: conv_s8(n, 96, 96, 3, 16, kernel=3, stride=2),
    "L2": lambda n: conv_s8(n, 48, 48, 96, 96, kernel=3, depthwise=True),
    "L3": lambda n: conv_s8(n, 48, 48, 16, 96, kernel=1),
    "L4": lambda n: conv_s8(n, 12, 12, 96, 24, kernel=1),
    "L5": lambda n: conv_s8(n, 32, 32, 16, 16, kernel=3),
    "L6": lambda n: dense_s8(n, 640, 128),
    "L7": lambda n: dense_s8(n, 9216, 128),
    "L8": lambda n: pool_s8(n, 8, 64),
    "L9": lambda n: add_s8(n, (1, 32, 32, 16)),
    "L10": lambda n: softmax_s8(n, 10),
    "L11": lambda n: maxpool(n, 24, 6),
    "L12": lambda n: maxpool(n, 24, 16),
    "L13": lambda n: conv_s8(n, 22, 22, 96, 96, kernel=5, depthwise=True),
    "F1": lambda n: conv_f32(n, 28, 1, 32),
    "F2": lambda n: conv_f32(n, 26, 32, 64),
    "F3": lambda n: dense_f32(n, 9216, 128),
    "F4": lambda n: depthwise_f32(n, 25, 5, 64, kernel=3, stride=1),
    "F5": lambda n: depthwise_f32(n, 48, 48, 16, kernel=3, stride=2),
    "F6": lambda n: depthwise_f32(n, 24, 24, 32, kernel=5, stride=1),
    "F7": lambda n: maxpool(n, 24, 6, "float32"),
}
"""The layers of the baselines by their short names."""
