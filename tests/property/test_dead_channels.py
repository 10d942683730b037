# SPDX-License-Identifier: MIT
"""Removing dead channels changes no output bit, and finds what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codegen import oracle
from codegen.ir import Graph, Node, Tensor
from codegen.load import load
from codegen.ops import BinaryS8, ConvS8, Requant, Window
from codegen.passes import dead_channels, lower
from codegen.passes.dead_channels import remove_dead_channels

CHANNELS = 6
SIZE = 5


class Builder:
    """Grows a random lowered network of equal-sized convolutions and residual sums."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = {"x": Tensor("x", (1, SIZE, SIZE, CHANNELS), "int8")}
        self.nodes: list[Node] = []

    def activation(self) -> str:
        name = f"t{len(self.nodes)}"
        self.tensors[name] = Tensor(name, (1, SIZE, SIZE, CHANNELS), "int8")
        return name

    def conv(self, x: str, *, kernel: int, depthwise: bool, dead: float, in_zp: int) -> str:
        """A convolution that keeps the shape; a share `dead` of its filters is zero."""
        rng, y, key = self.rng, self.activation(), len(self.nodes)
        width = 1 if depthwise else CHANNELS
        w = rng.integers(-128, 128, (CHANNELS, kernel, kernel, width)).astype(np.int8)
        w[rng.random(CHANNELS) < dead] = 0
        b = rng.integers(-3000, 3000, CHANNELS).astype(np.int32)
        sign = np.where(rng.random(CHANNELS) < 0.2, -1, 1)
        multiplier = (sign * rng.uniform(1e-4, 2e-2, CHANNELS)).astype(np.float32)
        self.tensors |= {
            f"w{key}": Tensor(f"w{key}", w.shape, "int8", w),
            f"b{key}": Tensor(f"b{key}", b.shape, "int32", b),
        }
        p = kernel // 2
        op = ConvS8(
            Window((kernel, kernel), pads=(p, p, p, p)),
            CHANNELS if depthwise else 1,
            Requant(multiplier, in_zp, int(rng.integers(-128, 128)), lo=int(rng.integers(-128, 0))),
        )
        self.nodes.append(Node(f"n{key}", op, (x, f"w{key}", f"b{key}"), (y,)))
        return y

    def add(self, a: str, b: str) -> str:
        y = self.activation()
        op = BinaryS8("add", 0.02, 3, 0.05, -7, 0.06, 1)
        self.nodes.append(Node(f"n{len(self.nodes)}", op, (a, b), (y,)))
        return y

    def graph(self, y: str) -> Graph:
        return Graph("net", self.tensors, tuple(self.nodes), ("x",), (y,))


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    build = Builder(draw(st.integers(0, 2**32 - 1)))
    seen = ["x"]
    for _ in range(draw(st.integers(2, 6))):
        kind = draw(st.sampled_from(["1x1", "3x3", "depthwise", "add"]))
        source = seen[-1]
        if kind == "add":
            seen.append(build.add(source, draw(st.sampled_from(seen))))
            continue
        y = build.conv(
            source,
            kernel=1 if kind == "1x1" else 3,
            depthwise=kind == "depthwise",
            dead=draw(st.sampled_from([0.0, 0.4, 0.9])),
            in_zp=draw(st.integers(-128, 127)),
        )
        seen.append(y)
    return build.graph(build.conv(seen[-1], kernel=1, depthwise=False, dead=0.1, in_zp=0))


def outputs(graph: Graph, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    return np.asarray(oracle.run(graph, {"x": x})[graph.outputs[0]])


@given(networks(), st.integers(0, 100))
def test_no_output_bit_changes(graph: Graph, seed: int) -> None:
    """The slim network computes what the whole one does."""
    slim, _ = remove_dead_channels(graph)

    assert np.array_equal(outputs(graph, seed), outputs(slim, seed))


@given(st.integers(0, 2**32 - 1), st.integers(0, 100))
def test_a_wrong_absorption_is_seen(seed: int, input_seed: int) -> None:
    """The comparison above convicts a pass that forgets to hand constants to the next bias."""
    build = Builder(seed)
    hidden = build.conv("x", kernel=1, depthwise=False, dead=1.0, in_zp=0)
    graph = build.graph(build.conv(hidden, kernel=1, depthwise=False, dead=0.0, in_zp=5))
    slim, savings = remove_dead_channels(graph)
    last = slim.nodes[-1]
    bias = slim.tensors[last.inputs[2]]
    assert bias.data is not None
    broken = replace(bias, data=bias.data + np.int32(100_000))
    wrong = replace(slim, tensors={**slim.tensors, bias.name: broken})

    assert savings.channels == CHANNELS - 1
    assert not np.array_equal(outputs(graph, input_seed), outputs(wrong, input_seed))


def test_half_of_the_visual_wake_words_network_is_dead(shared_models: Path) -> None:
    """The published VWW network: about half of its multiply-accumulates cannot matter."""
    graph = lower(load(shared_models / "mlperf_vww_mbv1_int8.onnx"))

    _, savings = remove_dead_channels(graph)

    assert savings.macs == 3_762_351
    assert savings.weight_bytes == 185_942


def test_a_live_network_is_left_alone() -> None:
    """Nothing to remove: the very same graph comes back."""
    build = Builder(1)
    graph = build.graph(build.conv("x", kernel=1, depthwise=False, dead=0.0, in_zp=0))

    assert remove_dead_channels(graph) == (graph, dead_channels.Savings())


def test_scalars_have_no_channels(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Add", ["d", "d"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["b"]),
        helper.make_node("DequantizeLinear", ["b", "s", "z"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(0.1), "s"),
        numpy_helper.from_array(np.int8(3), "z"),
    ]
    scalar = [helper.make_tensor_value_info(t, TensorProto.FLOAT, []) for t in "xy"]
    graph = helper.make_graph(nodes, "g", scalar[:1], scalar[1:], constants)
    file = tmp_path / "scalar.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file
    )

    built = lower(load(file))

    assert remove_dead_channels(built) == (built, dead_channels.Savings())


@pytest.mark.parametrize("pads, absorbed", [((0, 0, 0, 0), True), ((1, 1, 1, 1), False)])
def test_padding_forbids_absorption(pads: tuple[int, int, int, int], absorbed: bool) -> None:
    """A constant unequal to the zero point reaches inner pixels only behind padding: it stays."""
    build = Builder(3)
    hidden = build.conv("x", kernel=1, depthwise=False, dead=1.0, in_zp=0)
    graph = build.graph(build.conv(hidden, kernel=3, depthwise=False, dead=0.0, in_zp=127))
    last = graph.nodes[-1]
    assert isinstance(last.op, ConvS8)
    size = SIZE if any(pads) else SIZE - 2
    op = replace(last.op, window=replace(last.op.window, pads=pads))
    y = replace(graph.tensors[last.outputs[0]], shape=(1, size, size, CHANNELS))
    graph = replace(
        graph,
        tensors={**graph.tensors, y.name: y},
        nodes=(*graph.nodes[:-1], replace(last, op=op)),
    )

    slim, savings = remove_dead_channels(graph)

    assert (savings.channels > 0) is absorbed
    assert np.array_equal(outputs(graph, 0), outputs(slim, 0))
