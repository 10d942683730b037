# SPDX-License-Identifier: MIT
"""Additions that convolutions do themselves: the oracle's bits, on the summand's place."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from host_program import run_program
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kernel_emitted import Layer, emitted_on_core

from codegen import compile_lowered, compile_model, ops, oracle
from codegen.ir import Graph, Tensor
from codegen.kernels import VARIANTS
from codegen.kernels.fast_add import add_recipe
from codegen.passes.fuse_residual import fuse_residuals
from codegen.planner.tiles import stage, tiled
from codegen.target import CoreName, Optimize, target
from simharness import execution, pipeline
from simharness.testing.networks import Builder
from simharness.testing.strategies import Case, clamps, int8_values, scales, zero_points

M4 = target("m4", optimize="speed")


@st.composite
def additions(draw: st.DrawFn) -> ops.BinaryS8:
    """Those that have an integer form, as nearly all of published networks do."""
    a, b = draw(scales()), draw(scales())
    lo, hi = draw(clamps())
    out = float(np.float32(max(a, b) * draw(st.floats(0.8, 2.5))))
    zps = [draw(zero_points()) for _ in range(3)]
    op = ops.BinaryS8("add", a, zps[0], b, zps[1], out, zps[2], lo, hi)
    return op if add_recipe(op, bits=0) else replace(PLAIN, lo=min(lo, 0), hi=max(hi, 1))


PLAIN = ops.BinaryS8("add", 0.0235, -128, 0.0317, 3, 0.0401, -128)


def block(b: Builder, x: str, kernel: int, add: ops.BinaryS8, swapped: bool, seed: int) -> str:
    """A bottleneck: two convolutions and what went in added to them."""
    channels = b.shape(x)[3]
    inner = b.conv(x, 8, 1, seed)
    pair = (b.conv(inner, channels, kernel, seed + 1), x)
    return b.add(add, pair[::-1] if swapped else pair, b.shape(x))


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """A few blocks, wide enough for strips, something before and after them."""
    size = draw(st.sampled_from([(1, 3, 5), (1, 4, 25), (1, 2, 34), (1, 6, 6)]))
    b = Builder((*size, 4))
    x = b.conv(b.inputs[0], draw(st.sampled_from([4, 6, 8])), 1, 0)
    for seed in range(draw(st.integers(1, 3))):
        kernel, swapped = draw(st.sampled_from([1, 3])), draw(st.booleans())
        x = block(b, x, kernel, draw(additions()), swapped, 3 * seed + 1)
    return b.graph(b.conv(x, 2, 1, 99))


def fused(graph: Graph) -> int:
    return sum(isinstance(node.op, ops.ConvAddS8) for node in graph.nodes)


@settings(max_examples=12)
@given(graph=networks(), data=st.data())
def test_fused_sums_are_the_same_and_lie_on_the_summand(graph: Graph, data: st.DataObject) -> None:
    """Through planner, static check and the plain C of the kernels; also cut into tiles."""
    optimize: Optimize = data.draw(st.sampled_from(["speed", "balanced", "size"]))
    values = {x: data.draw(int8_values(graph.tensors[x].shape)) for x in graph.inputs}
    wanted = oracle.run(graph, values)[graph.outputs[0]]
    compiled = compile_lowered(graph, target("m4", optimize=optimize), name="m")
    sums = [y for y in compiled.program.layers if y.op == "ConvAddS8"]

    added = [node.op for node in graph.nodes if isinstance(node.op, ops.BinaryS8)]
    blocks = sum(add_recipe(op, bits=0) is not None for op in added)
    assert fused(fuse_residuals(graph, M4)) == blocks
    assert len(sums) == {"speed": blocks, "size": 0}.get(optimize, len(sums))
    for layer in sums:
        assert layer.outputs[0].offset == layer.inputs[1].offset
    with tempfile.TemporaryDirectory() as folder:
        got = run_program(compiled, Path(folder), list(values.values()))
    np.testing.assert_array_equal(got[0], wanted)
    whole = fuse_residuals(graph, M4)
    at = data.draw(st.sampled_from([n.outputs[0] for n in whole.nodes]))
    tiles = tiled(whole, at, 2, 2) if stage(whole, at) else None
    if tiles is not None:
        np.testing.assert_array_equal(oracle.run(tiles, values)[graph.outputs[0]], wanted)


def layers_on(core: CoreName, optimize: Optimize, count: int) -> list[Layer]:
    """Single layers whose summand lies elsewhere, so that it is copied first."""
    goal, found = target(core, optimize=optimize), list[Layer]()

    @settings(max_examples=12 * count, database=None, phases=[Phase.generate])
    @given(graph=networks(), seed=st.integers(0, 99))
    def collect(graph: Graph, seed: int) -> None:
        dice = np.random.default_rng(seed)
        for node in fuse_residuals(graph, goal).nodes:
            if isinstance(node.op, ops.ConvAddS8) and len(found) < count:
                names = (node.inputs[0], node.inputs[3])
                tensors = {n: graph.tensors[n] for n in (*node.inputs, *node.outputs)}
                alone = Graph("m", tensors, (node,), names, node.outputs)
                values = {n: dice.integers(-128, 128, tensors[n].shape, np.int8) for n in names}
                variant = next(v for v in VARIANTS if v.accepts(node, alone, goal))
                name = f"layer_{len(found)}"
                found.append(Layer(name, Case(alone, values), variant, goal))

    collect()
    assert len(found) == count
    return found


@pytest.mark.parametrize(
    ("core", "optimize"),
    [("m4", "speed"), ("m4", "balanced"), ("m7", "speed"), ("m7", "balanced"), ("m33", "speed")],
)
def test_the_instructions_on_a_core(core: CoreName, optimize: Optimize) -> None:
    layers = layers_on(core, optimize, 8)
    for layer, (actual, _) in zip(layers, emitted_on_core(layers, core), strict=True):
        wanted = oracle.run(layer.case.graph, layer.case.values)
        np.testing.assert_array_equal(actual[0], wanted[layer.case.node.outputs[0]])


def test_resnet8_on_m4(shared_models: Path) -> None:
    """All three residual additions, an arena below 36 kB, and clean under watch."""
    machine = pipeline.machine_for("m4", None, None)
    model = shared_models / "mlperf_ic_resnet8_int8.onnx"
    compiled = compile_model(model, target("m4"), name="m")
    built = pipeline.link(compiled, machine, "auto")
    image = tuple(bytes(graph_input.size_bytes) for graph_input in inputs_of(compiled.graph))
    watched = execution.watched(compiled, built, machine, "auto", image, budget=10**9)

    assert fused(compiled.graph) == 3
    assert compiled.plan.arena_bytes <= 36_000
    assert watched.violations == ()


def inputs_of(graph: Graph) -> list[Tensor]:
    return [graph.tensors[name] for name in graph.inputs]


def test_what_is_not_fused() -> None:
    """A summand that is needed later, an odd number of filters, and an output of the network."""
    for channels, at_end, later in [(4, False, True), (5, False, False), (4, True, False)]:
        b = Builder((1, 4, 4, 4))
        x = b.conv(b.inputs[0], channels, 1, 0)
        y = block(b, x, 3, PLAIN, False, 1)
        last = y if at_end else b.conv(y, channels, 1, 5)
        graph = b.graph(b.plus(last, x) if later else last)

        assert fused(fuse_residuals(graph, M4)) == 0
