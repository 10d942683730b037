# SPDX-License-Identifier: MIT
"""Every fast kernel gives the oracle's bits: as plain C under sanitizers, and specialised on cores.

Layers are drawn from the references' cases, made denser where fast kernels live, and planned by
each variant; a variant that never accepted anything would fail its test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from kernel_call import node_outputs, node_task
from kernel_emitted import Layer, emitted_on_core
from kernel_host import host, sanitized_host

from codegen import ops, oracle
from codegen.ir import Array
from codegen.kernels import select
from codegen.kernels.base import Variant
from codegen.kernels.fast_conv import IN_STRIPS
from codegen.kernels.fast_depthwise import IN_BANDS
from codegen.kernels.fast_kernels import FAST_DSP
from codegen.kernels.fast_quantize import floats_of, thresholds
from codegen.target import CoreName, Optimize, target
from simharness.testing.strategies import (
    CASES,
    Case,
    biases,
    calibrated,
    case,
    clamps,
    float_values,
    int8_values,
    real_clamps,
    requants,
    scales,
    weight_zero_points,
    zero_points,
)

HEADERS = tuple(f"{v.name}.h" for v in FAST_DSP)
BY_NAME = {f"{v.name}{v.manner}": v for v in (*FAST_DSP, *IN_BANDS, *IN_STRIPS)}


@st.composite
def convs(draw: DrawFn, depthwise: bool = False, tallest: int = 9, widest: int = 11) -> Case:
    """Convolutions as networks have them: square windows, channels in fours, several outputs."""
    kernel = draw(st.sampled_from([1, 3, 3, 5, 7] if depthwise else [1, 3, 3, 5]))
    stride = draw(st.sampled_from([1, 1, 2]))
    h, w = draw(st.integers(max(1, tallest - 17), tallest)), draw(st.integers(1, widest))
    pads = draw(st.tuples(*[st.integers(0, kernel // 2)] * 4))
    out_h, out_w = (
        (h + pads[0] + pads[2] - kernel) // stride + 1,
        (w + pads[1] + pads[3] - kernel) // stride + 1,
    )
    if out_h < 1 or out_w < 1:
        h, w, pads = kernel, kernel + 2, (0, 0, 0, 0)
        out_h, out_w = 1, 2 // stride + 1
    if depthwise:
        in_c = draw(st.sampled_from([2, 3, 4, 8]))
        out_c = in_c * draw(st.sampled_from([1, 1, 2]))
        groups, group_in = in_c, 1
    else:
        in_c, out_c = draw(st.sampled_from([4, 8, 3, 12])), draw(st.sampled_from([2, 4, 5, 8]))
        groups, group_in = 1, in_c
    window = ops.Window((kernel, kernel), (stride, stride), pads)
    w_zp = draw(weight_zero_points(out_c)) if draw(st.integers(0, 4)) == 0 else None
    op = ops.ConvS8(window, groups, draw(requants(out_c)), w_zp)
    weights = np.maximum(draw(int8_values((out_c, kernel, kernel, group_in))), -127)
    constants = {"w": weights, "b": draw(biases(out_c, kernel * kernel * group_in))}
    x = draw(int8_values((draw(st.sampled_from([1, 1, 2])), h, w, in_c)))
    return calibrated(
        draw, case(op, {"x": x}, constants, (x.shape[0], out_h, out_w, out_c), "int8")
    )


@st.composite
def dense(draw: DrawFn, deepest: int = 80) -> Case:
    """One row; deep ones only where the variant for them is drawn for."""
    k, n = draw(st.integers(max(1, deepest - 2000), deepest)), draw(st.integers(2, 13))
    constants = {
        "w": np.maximum(draw(int8_values((n, k))), -127),
        "b": draw(biases(n, k)),
    }
    op = ops.DenseS8(draw(requants(n)))
    return calibrated(draw, case(op, {"x": draw(int8_values((1, k)))}, constants, (1, n), "int8"))


@st.composite
def sums(draw: DrawFn) -> Case:
    """Sums of arrays of one shape."""
    count = draw(st.integers(1, 40))
    lo, hi = draw(clamps())
    op = ops.BinaryS8(
        "add", draw(scales()), draw(zero_points()), draw(scales()), draw(zero_points()),
        draw(scales()), draw(zero_points()), lo, hi,
    )  # fmt: skip
    values = {n: draw(int8_values((count,))) for n in "ab"}
    return case(op, values, {}, (count,), "int8")


@st.composite
def convs_f32(draw: DrawFn, depthwise: bool = False) -> Case:
    """Square windows in float."""
    kernel, stride = draw(st.sampled_from([1, 2, 3, 3, 5])), draw(st.sampled_from([1, 1, 2]))
    h, w = draw(st.integers(kernel, 9)), draw(st.integers(kernel, 13))
    pads = draw(st.tuples(*[st.integers(0, kernel // 2)] * 4))
    out_h = (h + pads[0] + pads[2] - kernel) // stride + 1
    out_w = (w + pads[1] + pads[3] - kernel) // stride + 1
    if depthwise:
        in_c = draw(st.integers(2, 5))
        out_c, groups, group_in = in_c * draw(st.sampled_from([1, 1, 2])), in_c, 1
    else:
        in_c, out_c = draw(st.integers(1, 5)), draw(st.integers(4, 9))
        groups, group_in = 1, in_c
    window = ops.Window((kernel, kernel), (stride, stride), pads)
    op = ops.ConvF32(window, groups, *draw(real_clamps()))
    constants = {
        "w": draw(float_values((out_c, kernel, kernel, group_in), 1.0)),
        "b": draw(float_values((out_c,))) if draw(st.booleans()) else None,
    }
    x = draw(float_values((draw(st.sampled_from([1, 1, 2])), h, w, in_c)))
    return case(op, {"x": x}, constants, (x.shape[0], out_h, out_w, out_c), "float32")


@st.composite
def quantizers(draw: DrawFn) -> Case:
    """Inputs on both sides of where the output rises, far away, and infinite."""
    op = ops.Quantize(draw(scales()), draw(zero_points()))
    keys = thresholds(op).astype(np.int64)[:, None] + [-1, 0, 1]
    x = floats_of(keys.clip(-0x7F800001, 0x7F800000).astype(np.int32)).reshape(-1)
    far = np.float32([0.0, -0.0, 1e-42, 3e38, -3e38, np.inf, -np.inf, op.scale * 2**24])
    x = np.concatenate([draw(float_values((41,), 300 * op.scale)), far, x])[
        draw(st.integers(0, 3)) :
    ]
    return case(op, {"x": x}, {}, x.shape, "int8")


DRAWN: dict[str, SearchStrategy[Case]] = {
    "nn_depthwise_s8_dsp3x3": st.one_of(convs(depthwise=True), CASES["nn_depthwise_s8"]),
    "nn_depthwise_s8_dsp": st.one_of(convs(depthwise=True), CASES["nn_depthwise_s8"]),
    "nn_conv2d_s8_dsp_points": st.one_of(convs(), CASES["nn_dense_s8"]),
    "nn_conv2d_s8_dsp_rows": convs(),
    "nn_conv2d_s8_dsp_patches": st.one_of(convs(), CASES["nn_conv2d_s8"]),
}

DRAWN["nn_dense_s8_dsp"] = dense()
DRAWN["nn_dense_s8_dsp_long"] = dense(3000)
DRAWN["nn_add_s8_dsp"] = sums()

DRAWN["nn_maxpool_s8_dsp"] = CASES["nn_maxpool_s8"]
DRAWN["nn_global_avgpool_s8_dsp"] = CASES["nn_global_avgpool_s8"]
DRAWN["nn_maxpool_f32_clipped"] = CASES["nn_maxpool_f32"]
DRAWN["nn_quantize_f32_s8_fpu"] = quantizers()

DRAWN["nn_conv2d_f32_blocked"] = convs_f32()
DRAWN["nn_depthwise_f32_blocked"] = st.one_of(convs_f32(depthwise=True), CASES["nn_depthwise_f32"])
DRAWN["nn_dense_f32_blocked"] = CASES["nn_dense_f32"]

DRAWN |= {f"{v.name}{v.manner}": convs(depthwise=True, tallest=36) for v in IN_BANDS}
DRAWN |= {f"{v.name}{v.manner}": convs(widest=34) for v in IN_STRIPS}

GOAL = target("m4", optimize="speed")


def test_every_fast_kernel_has_cases() -> None:
    assert set(BY_NAME) == set(DRAWN)


def expected(drawn: Case) -> list[Array]:
    values = oracle.run(drawn.graph, drawn.values)
    return [values[name] for name in drawn.graph.outputs]


def assert_same(variant: Variant, actual: list[Array], wanted: list[Array]) -> None:
    for a, w in zip(actual, wanted, strict=True):
        if a.dtype == np.float32:
            largest = max(float(np.abs(w).max(initial=0.0)), 1e-30)
            np.testing.assert_allclose(a, w, rtol=0.0, atol=1e-5 * largest, err_msg=variant.name)
        else:
            np.testing.assert_array_equal(a, w, err_msg=variant.name)


@pytest.mark.needs("cc")
@pytest.mark.parametrize("kernel", BY_NAME)
def test_plain_c_is_right_and_clean(kernel: str) -> None:
    """The C that stands for the instructions: the oracle's result, no access outside a buffer."""
    variant = BY_NAME[kernel]
    bare, sanitized = host(headers=HEADERS), sanitized_host(headers=HEADERS)
    taken = 0

    @settings(max_examples=150)
    @given(DRAWN[kernel], st.booleans())
    def check(drawn: Case, clean: bool) -> None:
        nonlocal taken
        if not variant.accepts(drawn.node, drawn.graph, GOAL):
            return
        taken += 1
        task = node_task(drawn.node, drawn.graph, drawn.values, variant, GOAL)
        buffers = (sanitized if clean else bare).run(task)
        for before, after, writable in zip(task.buffers, buffers, task.writable, strict=True):
            assert writable or before == after, "a kernel wrote to its input"
        actual = node_outputs(drawn.node, drawn.graph, len(drawn.values), buffers)
        assert_same(variant, actual, expected(drawn))

    check()
    assert taken >= 15


@pytest.mark.needs("cc")
@pytest.mark.parametrize(
    "kernel",
    [
        "nn_conv2d_s8_dsp_points", "nn_conv2d_s8_dsp_rows", "nn_dense_s8_dsp",
        "nn_depthwise_s8_dsp3x3",
    ],
)  # fmt: skip
def test_the_fast_requantization_is_at_most_one_off(kernel: str) -> None:
    """Also where the exact one takes the float path, which must not be rare in what is drawn."""
    variant, bare = BY_NAME[kernel], host(headers=HEADERS)
    fast = replace(GOAL, requant="fast")
    off, unlike = [], 0

    @settings(max_examples=300)
    @given(DRAWN[kernel])
    def check(drawn: Case) -> None:
        nonlocal unlike
        if not variant.accepts(drawn.node, drawn.graph, GOAL):
            return
        calls = [variant.emit(drawn.node, drawn.graph, goal) for goal in (GOAL, fast)]
        texts = {(c.body, *(t.data.tobytes() for t in c.constants)) for c in calls}
        unlike += len(texts) - 1
        task = node_task(drawn.node, drawn.graph, drawn.values, variant, fast)
        actual = node_outputs(drawn.node, drawn.graph, len(drawn.values), bare.run(task))
        (wanted,) = expected(drawn)
        off.append(int(np.abs(actual[0].astype(np.int32) - wanted.astype(np.int32)).max()))

    check()
    assert max(off) <= 1
    assert unlike >= 3


def accepted(kernel: str, count: int, core: CoreName, optimize: Optimize) -> list[Layer]:
    """The first layers that Hypothesis makes up and the variant takes."""
    variant = BY_NAME[kernel]
    goal = target(core, optimize=optimize)
    layers: list[Layer] = []

    @settings(max_examples=12 * count, database=None, phases=[Phase.generate])
    @given(DRAWN[kernel])
    def collect(drawn: Case) -> None:
        if len(layers) < count and variant.accepts(drawn.node, drawn.graph, goal):
            layers.append(Layer(f"layer_{len(layers)}", drawn, variant, goal))

    collect()
    assert layers
    return layers


@pytest.mark.parametrize(
    ("core", "optimize", "count"),
    [
        ("m4", "speed", 20), ("m4", "balanced", 10), ("m4", "size", 10),
        ("m7", "speed", 8), ("m7", "balanced", 6), ("m7", "size", 6), ("m33", "balanced", 6),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kernel", [name for name in BY_NAME if " 4 " not in name])
def test_specialised_layers_on_a_core(
    kernel: str, core: CoreName, optimize: Optimize, count: int
) -> None:
    """Inlined and specialised, or shared between layers, with the real instructions."""
    layers = accepted(kernel, count, core, optimize)
    defines = ("NN_SHARED",) if optimize == "size" else ()
    ran = emitted_on_core(layers, core, defines=defines)
    for layer, (actual, _) in zip(layers, ran, strict=True):
        assert_same(layer.variant, actual, expected(layer.case))


@pytest.mark.parametrize(
    "kernel", ["nn_conv2d_s8_dsp_rows", "nn_conv2d_s8_dsp_patches", "nn_dense_s8_dsp"]
)
def test_a_wrong_weight_is_seen(kernel: str) -> None:
    """One bit of one packed weight is enough to fail the comparison."""
    variant, runner = BY_NAME[kernel], host(headers=HEADERS)
    seen = 0
    for layer in accepted(kernel, 30, "m4", "speed"):
        case_, inputs = layer.case, len(layer.case.values)
        task = node_task(case_.node, case_.graph, case_.values, variant, layer.goal)
        place = inputs + len(case_.node.outputs)  # the stream follows inputs and outputs
        words = np.frombuffer(bytearray(task.buffers[place]), np.uint32)
        words[4 if kernel == "nn_dense_s8_dsp" else 2] ^= 1 << 14
        buffers = [words.tobytes() if i == place else b for i, b in enumerate(task.buffers)]
        changed = runner.run(replace(task, buffers=tuple(buffers)))
        (actual,) = node_outputs(case_.node, case_.graph, inputs, changed)
        seen += bool((actual != expected(case_)[0]).any())
    assert seen >= 3


@pytest.mark.parametrize("core", ["m4", "m0plus"])
def test_what_is_no_number_quantizes_to_the_least(core: CoreName) -> None:
    """Also beside infinities, whose sum is no number either."""
    x = np.float32([np.nan, 1, -np.nan, 2, np.inf, -np.inf, 3, 4, np.nan])
    drawn = case(ops.Quantize(1.0, 9), {"x": x}, {}, x.shape, "int8")
    goal = target(core)
    [(actual, _)] = emitted_on_core(
        [Layer("layer", drawn, select(drawn.node, drawn.graph, goal), goal)], core
    )
    np.testing.assert_array_equal(actual[0], np.int8([-128, 10, -128, 11, 127, -128, 12, 13, -128]))
