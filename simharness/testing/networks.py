# SPDX-License-Identifier: MIT
"""Hypothesis strategies for small networks in the lowered dialect, hostile names included."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from codegen.ir import Array, DType, Graph, Node, Quant, Tensor
from codegen.ops import (
    BinaryS8,
    Concat,
    ConvS8,
    Copy,
    LutS8,
    MaxPool,
    Op,
    Requant,
    Slice,
    Transpose,
    View,
    Window,
)

_QUANT = Quant(np.array(0.1, np.float32), np.array(3, np.int32))


class Builder:
    """Grows a lowered graph node by node; tensor names are hostile on purpose."""

    def __init__(self, *inputs: tuple[int, ...]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs = [self._tensor(shape) for shape in inputs]

    def _tensor(self, shape: tuple[int, ...], data: Array | None = None) -> str:
        name = f'*/ "{len(self.tensors)}" ??/\n'
        dtype: DType = "int8" if data is None or data.dtype == np.int8 else "int32"
        self.tensors[name] = Tensor(name, shape, dtype, data, _QUANT)
        return name

    def constant(self, data: Array) -> str:
        return self._tensor(data.shape, data)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def add(self, op: Op, inputs: tuple[str, ...], shape: tuple[int, ...]) -> str:
        y = self._tensor(shape)
        name = f"node {len(self.nodes)}\r\n#define x"
        self.nodes.append(Node(name, op, inputs, (y,), (name,)))
        return y

    def graph(self, *outputs: str) -> Graph:
        return Graph("m", self.tensors, tuple(self.nodes), tuple(self.inputs), outputs)

    def lut(self, x: str, seed: int) -> str:
        table = np.random.default_rng(seed).integers(-128, 128, 256).astype(np.int8)
        return self.add(LutS8("clip"), (x, self.constant(table)), self.shape(x))

    def plus(self, a: str, b: str) -> str:
        return self.add(BinaryS8("add", 0.1, 3, 0.2, -5, 0.25, 1), (a, b), self.shape(a))

    def conv(self, x: str, channels: int, kernel: int, seed: int) -> str:
        n, h, w, c = self.shape(x)
        dice = np.random.default_rng(seed)
        weights = dice.integers(-9, 10, (channels, kernel, kernel, c)).astype(np.int8)
        bias = dice.integers(-99, 100, channels).astype(np.int32)
        pad = kernel // 2
        op = ConvS8(
            Window((kernel, kernel), pads=(pad, pad, pad, pad)),
            1,
            Requant(np.full(channels, 0.01, np.float32), 3, -4),
        )
        inputs = (x, self.constant(weights), self.constant(bias))
        return self.add(op, inputs, (n, h, w, channels))

    def pool(self, x: str) -> str:
        n, h, w, c = self.shape(x)
        op = MaxPool(Window((2, 2), (2, 2)))
        return self.add(op, (x,), (n, h // 2, w // 2, c))

    def view(self, x: str) -> str:
        n, h, w, c = self.shape(x)
        return self.add(View(), (x,), (n, w, h, c))

    def slice(self, x: str, axis: int, start: int, count: int) -> str:
        shape = list(self.shape(x))
        starts = [0] * 4
        starts[axis], shape[axis] = start, count
        return self.add(Slice(tuple(starts), (1,) * 4), (x,), tuple(shape))

    def concat(self, axis: int, *xs: str) -> str:
        shape = list(self.shape(xs[0]))
        shape[axis] = sum(self.shape(x)[axis] for x in xs)
        return self.add(Concat(axis), xs, tuple(shape))


@st.composite
def networks(draw: st.DrawFn, most_nodes: int = 14) -> Graph:
    """A graph of up to `most_nodes` nodes with branches, views, joins, cuts and dead ends."""
    size = st.sampled_from([1, 2, 3, 4, 8])
    shapes = draw(st.lists(st.tuples(st.just(1), size, size, size), min_size=1, max_size=2))
    b = Builder(*shapes)
    values = list(b.inputs)
    for seed in range(draw(st.integers(1, most_nodes))):
        x = draw(st.sampled_from(values))
        n, h, w, c = b.shape(x)
        same = [v for v in values if b.shape(v) == b.shape(x)]
        kind = draw(
            st.sampled_from(["lut", "plus", "conv", "pool", "view", "slice", "concat", "other"])
        )
        axis = draw(st.sampled_from([1, 1, 3]))
        if kind == "lut":
            y = b.lut(x, seed)
        elif kind == "plus":
            y = b.plus(x, draw(st.sampled_from(same)))
        elif kind == "conv":
            y = b.conv(x, draw(size), draw(st.sampled_from([1, 3])), seed)
        elif kind == "pool" and min(h, w) > 1:
            y = b.pool(x)
        elif kind == "slice":
            start = draw(st.integers(0, b.shape(x)[axis] - 1))
            y = b.slice(x, axis, start, draw(st.integers(1, b.shape(x)[axis] - start)))
        elif kind == "concat" and n * h * w * c < 1024:
            y = b.concat(axis, x, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=2)))
        elif kind == "other":
            perm = draw(st.permutations([1, 2, 3]))
            moved = tuple(b.shape(x)[axis] for axis in perm)
            moves: list[Op] = [Copy(), Transpose((0, *perm))]
            op = draw(st.sampled_from(moves))
            y = b.add(op, (x,), b.shape(x) if isinstance(op, Copy) else (1, *moved))
        else:
            y = b.view(x)
        values.append(y)
    count = draw(st.integers(1, 2))
    outputs = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    return b.graph(*{*outputs[:-1]}, outputs[-1])
