# SPDX-License-Identifier: MIT
"""Kernels for cores without the DSP extension give the oracle's bits: as plain C under sanitizers,
and with their blocks in assembly on emulated cores. Same layers as the other fast kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from kernel_call import node_outputs, node_task
from kernel_emitted import Layer, emitted_on_core
from kernel_host import host, sanitized_host
from test_fast_kernels import assert_same, convs, dense, expected, quantizers, sums

from codegen.ir import Array
from codegen.kernels import select
from codegen.kernels.fast_v6m_kernels import FAST_V6M
from codegen.ops import ConvS8, DenseS8, Requant, Window
from codegen.target import CoreName, Optimize, target
from simharness.testing.strategies import CASES, Case, case

HEADERS = tuple(f"{v.name}.h" for v in FAST_V6M)
BY_NAME = {v.name: v for v in FAST_V6M}
DRAWN: dict[str, SearchStrategy[Case]] = {
    "nn_conv2d_s8_v6m": st.one_of(convs(), CASES["nn_conv2d_s8"], CASES["nn_dense_s8"]),
    "nn_depthwise_s8_v6m3x3": convs(depthwise=True),
    "nn_depthwise_s8_v6m": st.one_of(convs(depthwise=True), CASES["nn_depthwise_s8"]),
    "nn_dense_s8_v6m": st.one_of(dense(), CASES["nn_dense_s8"]),
    "nn_add_s8_v6m": sums(),
    "nn_maxpool_s8_v6m": CASES["nn_maxpool_s8"],
    "nn_quantize_f32_s8_search": quantizers(),
}
GOAL = target("m0plus", optimize="speed")
SMALL = target("m0plus", optimize="size")


def test_every_kernel_has_cases() -> None:
    assert set(BY_NAME) == set(DRAWN)


@pytest.mark.needs("cc")
@pytest.mark.parametrize("kernel", BY_NAME)
def test_plain_c_is_right_and_clean(kernel: str) -> None:
    """The oracle's result, also in integers only, and no access outside a buffer."""
    variant = BY_NAME[kernel]
    flags, short = ("-DNN_REQUANT_INTEGER", "-DNN_REQUANT_MUL16"), "-DNN_SHORT_RECORDS"
    kinds = {
        "integer": (GOAL, host(*flags, headers=HEADERS)),
        "sanitized": (GOAL, sanitized_host(headers=HEADERS)),
        "small": (SMALL, sanitized_host(*flags, short, headers=HEADERS)),
    }
    taken = 0

    @settings(max_examples=150)
    @given(DRAWN[kernel], st.sampled_from(sorted(kinds)))
    def check(drawn: Case, kind: str) -> None:
        nonlocal taken
        goal, runner = kinds[kind]
        if not variant.accepts(drawn.node, drawn.graph, goal):
            return
        taken += 1
        task = node_task(drawn.node, drawn.graph, drawn.values, variant, goal)
        buffers = runner.run(task)
        for before, after, writable in zip(task.buffers, buffers, task.writable, strict=True):
            assert writable or before == after, "a kernel wrote to its input"
        actual = node_outputs(drawn.node, drawn.graph, len(drawn.values), buffers)
        assert_same(variant, actual, expected(drawn))

    check()
    assert taken >= 15


def accepted(
    kernel: str, count: int, core: CoreName, optimize: Optimize = "balanced"
) -> list[Layer]:
    """The first layers that Hypothesis makes up and the variant takes."""
    variant = BY_NAME[kernel]
    goal = target(core, optimize=optimize)
    layers: list[Layer] = []

    @settings(max_examples=24 * count, database=None, phases=[Phase.generate])
    @given(DRAWN[kernel])
    def collect(drawn: Case) -> None:
        if len(layers) < count and variant.accepts(drawn.node, drawn.graph, goal):
            layers.append(Layer(f"layer_{len(layers)}", drawn, variant, goal))

    collect()
    assert layers
    return layers


@pytest.mark.parametrize(
    ("core", "optimize"),
    [("m0plus", "speed"), ("m0plus", "balanced"), ("m0plus", "size"), ("m3", "speed")],
)
@pytest.mark.parametrize("kernel", BY_NAME)
def test_layers_on_a_core(kernel: str, core: CoreName, optimize: Optimize) -> None:
    """With the real instructions, under each of the compiler's ways to treat high registers."""
    layers = accepted(kernel, 16, core, optimize)
    results = emitted_on_core(layers, core, optimize=optimize)
    for layer, (actual, _) in zip(layers, results, strict=True):
        assert_same(layer.variant, actual, expected(layer.case))


@pytest.mark.parametrize("core", ["m4", "m33"])
@pytest.mark.parametrize("kernel", ["nn_conv2d_s8_v6m", "nn_dense_s8_v6m"])
def test_weights_with_a_zero_point_on_other_cores(kernel: str, core: CoreName) -> None:
    """There these kernels are for uint8 weights, which are not left to the plain ones."""
    layers = accepted(kernel, 8, core, "speed")
    for layer, (actual, _) in zip(layers, emitted_on_core(layers, core), strict=True):
        node, graph = layer.case.node, layer.case.graph
        assert isinstance(node.op, ConvS8 | DenseS8) and node.op.w_zp is not None
        assert select(node, graph, layer.goal) is layer.variant
        assert_same(layer.variant, actual, expected(layer.case))


@pytest.mark.parametrize("kernel", BY_NAME)
def test_layers_of_another_compiler(kernel: str) -> None:
    pytest.importorskip("ziglang", reason="pip install ziglang")
    layers = accepted(kernel, 6, "m0plus")
    for layer, (actual, _) in zip(layers, emitted_on_core(layers, "m0plus", "zig"), strict=True):
        assert_same(layer.variant, actual, expected(layer.case))


@pytest.mark.parametrize("depth", [1, 64, 65, 129])
def test_sums_at_the_ends_of_their_fields(depth: int) -> None:
    """Neighbouring columns with the largest and the smallest sums that a field must hold."""
    ends = np.array([-128, 127, 127, -128, -128, 127, -128], np.int8)
    x = np.repeat(ends[:, None], depth, axis=1).reshape(1, 1, 7, depth)
    weights = np.array([127, -127, -128, 127], np.int8)
    constants: dict[str, Array | None] = {
        "w": np.repeat(weights[:, None], depth, axis=1).reshape(4, 1, 1, depth),
        "b": np.array([0, 5, -5, 70], np.int32),
    }
    requant = Requant(np.full(4, 0.0069 / depth, np.float32), 0, 3)
    drawn = case(ConvS8(Window((1, 1)), 1, requant), {"x": x}, constants, (1, 1, 7, 4), "int8")
    layers = [Layer("layer", drawn, BY_NAME["nn_conv2d_s8_v6m"], GOAL)]
    [(actual, _)] = emitted_on_core(layers, "m0plus")
    assert_same(layers[0].variant, actual, expected(drawn))


def strip_case(kernel_w: int, stride: int) -> Case:
    """Two channels of two rows, with seven outputs in each row of them."""
    dice = np.random.default_rng(kernel_w)
    x = dice.integers(-128, 128, (1, 3, 6 * stride + kernel_w, 2)).astype(np.int8)
    constants: dict[str, Array | None] = {
        "w": dice.integers(-128, 128, (2, 2, kernel_w, 1)).astype(np.int8),
        "b": np.array([3, -400], np.int32),
    }
    requant = Requant(np.full(2, 0.009 / kernel_w, np.float32), -7, 3)
    op = ConvS8(Window((2, kernel_w), (1, stride)), 2, requant)
    return case(op, {"x": x}, constants, (1, 2, 7, 2), "int8")


@pytest.mark.parametrize("optimize", ["speed", "balanced", "size"])
def test_each_way_to_cut_a_window(optimize: Optimize) -> None:
    """All strips in one program, whose compiled function is then at its longest."""
    goal, variant = target("m0plus", optimize=optimize), BY_NAME["nn_depthwise_s8_v6m"]
    drawn = [strip_case(kernel_w, stride) for kernel_w in range(1, 10) for stride in (1, 2)]
    layers = [Layer(f"layer_{i}", d, variant, goal) for i, d in enumerate(drawn)]
    results = emitted_on_core(layers, "m0plus", optimize=optimize)
    for layer, (actual, _) in zip(layers, results, strict=True):
        assert_same(variant, actual, expected(layer.case))
