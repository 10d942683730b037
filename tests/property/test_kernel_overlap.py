# SPDX-License-Identifier: MIT
"""Kernels whose output overlaps their dying input compute the same as with both apart."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from host_program import run_program
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import compile_lowered, oracle
from codegen.build import Compiled
from codegen.emit import Argument, build_program, render
from codegen.ir import Graph, Node, Tensor
from codegen.kernels.base import Variant
from codegen.kernels.fast_depthwise import IN_BANDS
from codegen.kernels.overlap import window_lead
from codegen.ops import ConvS8, Dequantize, MaxPool, Quantize, Requant, Window
from codegen.planner import plan_memory
from codegen.planner.needs import needs
from codegen.swaps import fastest
from codegen.target import CoreName, target
from simharness.testing.networks import Builder

PLAIN = target("m3", reference_kernels=True)
M4 = target("m4")


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, int, int, int]:
    """A window, and a height, a width and a number of channels that it fits."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = draw(st.tuples(*(st.integers(0, k - 1) for k in (*kernel, *kernel))))
    height = draw(st.integers(kernel[0], 9))
    width = draw(st.integers(kernel[1], 9))
    return Window(kernel, strides, pads), height, width, draw(st.integers(1, 5))


def out_size(window: Window, axis: int, size: int) -> int:
    padded = size + window.pads[axis] + window.pads[axis + 2]
    return (padded - window.kernel[axis]) // window.strides[axis] + 1


def around(window: Window, height: int, width: int, channels: int, kind: str, out: int) -> Graph:
    """A table, the operator, a table: its input dies in the arena, its output is born there."""
    b = Builder((1, height, width, channels))
    x = b.lut(b.inputs[0], 1)
    shape = (1, out_size(window, 0, height), out_size(window, 1, width))
    if kind == "pool":
        return b.graph(b.lut(b.add(MaxPool(window), (x,), (*shape, channels)), 2))
    groups = channels if kind == "depthwise" else 1
    out = channels if kind == "depthwise" else out
    dice = np.random.default_rng(5)
    weights = dice.integers(-9, 10, (out, *window.kernel, channels // groups)).astype(np.int8)
    op = ConvS8(window, groups, Requant(np.full(out, 0.05, np.float32), 3, -4))
    y = b.add(op, (x, b.constant(weights), b.constant(np.zeros(out, np.int32))), (*shape, out))
    return b.graph(b.lut(y, 2))


def differs(compiled: Compiled, graph: Graph) -> bool:
    """Whether the C computes something else than the oracle."""
    name = graph.inputs[0]
    value = np.random.default_rng(9).integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
    wanted = oracle.run(graph, {name: value})[graph.outputs[0]]
    with tempfile.TemporaryDirectory() as folder:
        return not np.array_equal(run_program(compiled, Path(folder), [value])[0], wanted)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "pool"])
@settings(max_examples=15)
@given(case=windows(), out=st.integers(1, 6))
def test_overlapped_windows(kind: str, case: tuple[Window, int, int, int], out: int) -> None:
    window, height, width, channels = case
    graph = around(window, height, width, channels, kind, out)

    assert not differs(compile_lowered(graph, PLAIN, name="m"), graph)


@pytest.mark.parametrize("core", ["m4", "m0plus"])
@pytest.mark.parametrize("kind", ["depthwise", "pool"])
@settings(max_examples=15)
@given(case=windows())
def test_fast_kernels_over_their_inputs(
    kind: str, core: CoreName, case: tuple[Window, int, int, int]
) -> None:
    """Kernels that go channel by channel, or take some channels of a pixel at a time."""
    window, height, width, channels = case
    graph = around(window, height, width, channels + 1, kind, 0)

    assert not differs(compile_lowered(graph, target(core), name="m"), graph)


def test_the_lead_of_a_3x3_window() -> None:
    """At the end of row 1 the window of row 2, which begins with row 1, is still unread."""
    window = Window((3, 3), pads=(1, 1, 1, 1))

    assert window_lead(window, (1, 8, 8, 4), (1, 8, 8, 4)) == 8 * 4 + 2 * 4
    assert window_lead(Window((1, 1)), (1, 8, 8, 4), (1, 8, 8, 4)) == 4
    assert window_lead(Window((2, 2), (2, 2)), (1, 8, 8, 4), (1, 4, 4, 4)) <= 4


def test_a_lead_one_pixel_short_spoils_the_result() -> None:
    """The leads are not larger than they need to be: one pixel nearer, and the output is wrong."""
    graph = around(Window((3, 3), pads=(1, 1, 1, 1)), 8, 8, 4, "conv", 4)
    good = compile_lowered(graph, PLAIN, name="m")
    assert not differs(good, graph)
    conv = good.program.layers[1]
    gap = conv.inputs[0].offset - conv.outputs[0].offset
    assert gap == window_lead(Window((3, 3), pads=(1, 1, 1, 1)), (1, 8, 8, 4), (1, 8, 8, 4))

    def nearer(argument: Argument) -> Argument:
        x = argument.tensor == conv.inputs[0].tensor
        return replace(argument, offset=argument.offset - 4) if x else argument

    layers = tuple(
        replace(
            layer,
            inputs=tuple(map(nearer, layer.inputs)),
            outputs=tuple(map(nearer, layer.outputs)),
        )
        for layer in good.program.layers
    )
    broken = replace(good, sources=render(replace(good.program, layers=layers)))

    assert differs(broken, graph)


@pytest.mark.parametrize("core", ["m4", "m0plus"])
def test_a_quantizer_writes_behind_what_it_reads(core: CoreName) -> None:
    b = Builder((1, 4, 7, 3))
    wide = Tensor("wide", (1, 4, 7, 3), "float32")
    b.tensors["wide"] = wide
    b.nodes.append(Node("up", Dequantize(0.03, 5), (b.lut(b.inputs[0], 1),), ("wide",), ("up",)))
    graph = b.graph(b.lut(b.add(Quantize(0.021, -7), ("wide",), wide.shape), 2))

    compiled = compile_lowered(graph, target(core), name="m")

    quantizer = compiled.program.layers[2]
    assert quantizer.outputs[0].offset == quantizer.inputs[0].offset
    assert not differs(compiled, graph)


@pytest.mark.parametrize("variant", IN_BANDS, ids=lambda v: f"{v.name}{v.manner}")
def test_planes_in_bands_on_their_own_input(variant: Variant) -> None:
    """Depthwise in place, some rows at a time: a band's outputs lie on inputs of bands before."""
    taken = 0

    @settings(max_examples=20)
    @given(case=windows(), taller=st.integers(16, 31))
    def check(case: tuple[Window, int, int, int], taller: int) -> None:
        nonlocal taken
        window, height, width, channels = case
        kernel = (3, 3) if "3x3" in variant.name else window.kernel
        window = replace(window, kernel=kernel, strides=(min(window.strides[0], 2),) * 2)
        graph = around(window, height + taller, width + 2, channels, "depthwise", channels)
        node = graph.nodes[1]
        if not variant.accepts(node, graph, M4) or not variant.overlaps(node, graph, M4):
            return
        taken += 1
        kernels = list(fastest(graph, M4))
        kernels[1] = variant
        plan = plan_memory(graph, needs(graph, kernels, M4))
        assert plan.aliases[node.outputs[0]] == node.inputs[0]
        program = build_program("m", graph, kernels, plan, M4)
        compiled = compile_lowered(graph, M4, name="m")

        assert not differs(replace(compiled, program=program, sources=render(program)), graph)

    check()
    assert taken


def test_patches_stay_behind_what_they_read() -> None:
    """A convolution by patches writes over its dying input, at the lead of its window."""
    graph = around(Window((3, 3), pads=(1, 1, 1, 1)), 12, 12, 3, "conv", 3)
    compiled = compile_lowered(graph, M4, name="m")
    conv = compiled.program.layers[1]

    assert conv.kernel == "nn_conv2d_s8_dsp_patches"
    assert conv.inputs[0].offset - conv.outputs[0].offset < conv.outputs[0].size_bytes
    assert not differs(compiled, graph)
