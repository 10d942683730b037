# SPDX-License-Identifier: MIT
"""Tile by tile or all at once: the same integers."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from host_program import run_program
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import compile_lowered, oracle
from codegen.errors import PlanError
from codegen.ir import Array, Graph
from codegen.ops import ConvS8, MaxPool, Requant, Window
from codegen.planner.tiles import macs, stage, tiled
from codegen.target import target
from simharness.testing.networks import Builder

M4 = target("m4")


def window(b: Builder, x: str, kernel: int, stride: int, pads: tuple[int, int], kind: str) -> str:
    """A convolution, a depthwise one or a pool with as much padding before and after as given."""
    _, height, width, channels = b.shape(x)
    op_window = Window((kernel, kernel), (stride, stride), (*pads[:1] * 2, *pads[1:] * 2))
    out = [(size + sum(pads) - kernel) // stride + 1 for size in (height, width)]
    if kind == "pool":
        return b.add(MaxPool(op_window), (x,), (1, *out, channels))
    groups = channels if kind == "depthwise" else 1
    dice = np.random.default_rng(kernel)
    filters = channels if kind == "depthwise" else 4
    shape = (filters, kernel, kernel, channels // groups)
    weights = b.constant(dice.integers(-9, 10, shape).astype(np.int8))
    bias = b.constant(dice.integers(-99, 100, filters).astype(np.int32))
    op = ConvS8(op_window, groups, Requant(np.full(filters, 0.03, np.float32), 3, -4))
    return b.add(op, (x, weights, bias), (1, *out, filters))


@st.composite
def stacks(draw: st.DrawFn) -> Graph:
    """Some windows one after the other, residual sums and tables between, a head at the end."""
    b = Builder((1, draw(st.integers(9, 17)), draw(st.integers(9, 17)), draw(st.integers(1, 4))))
    x = b.inputs[0]
    for seed in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "depthwise", "pool", "lut", "residual"]))
        if kind == "lut":
            x = b.lut(x, seed)
        elif kind == "residual":
            x = b.plus(b.conv(x, b.shape(x)[3], 3, seed), x)
        else:
            kernel = draw(st.integers(1, 3))
            pads = draw(st.tuples(*[st.integers(0, kernel - 1)] * 2))
            stride = draw(st.integers(1, 2)) if min(b.shape(x)[1:3]) > 5 else 1
            x = window(b, x, kernel, stride, pads, kind)
    return b.graph(b.conv(x, 2, 1, 9))


def values(graph: Graph) -> dict[str, Array]:
    dice = np.random.default_rng(3)
    return {
        name: dice.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
        for name in graph.inputs
    }


@given(graph=stacks(), rows=st.integers(1, 4), cols=st.integers(1, 3), data=st.data())
def test_tiles_compute_the_same(graph: Graph, rows: int, cols: int, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from([n.outputs[0] for n in graph.nodes]))
    tiles = tiled(graph, at, rows, cols) if stage(graph, at) else None
    if tiles is None:
        return
    given_values = values(graph)

    wanted, got = oracle.run(graph, given_values), oracle.run(tiles, given_values)

    np.testing.assert_array_equal(got[graph.outputs[0]], wanted[graph.outputs[0]])


@settings(max_examples=10)
@given(graph=stacks())
def test_generated_tiles_compute_the_same(graph: Graph) -> None:
    """Through planner and compiler, cut and joined by views."""
    try:
        compiled = compile_lowered(graph, M4, name="m", patches=(3, 1))
    except PlanError as error:
        assert "3x1 tiles" in str(error)
        return
    given_values = values(graph)
    with tempfile.TemporaryDirectory() as folder:
        got = run_program(compiled, Path(folder), list(given_values.values()))
    np.testing.assert_array_equal(got[0], oracle.run(graph, given_values)[graph.outputs[0]])


def wide() -> Graph:
    """A large early tensor, small ones after it: what tiles are for."""
    b = Builder((1, 32, 32, 4))
    x = b.conv(b.inputs[0], 16, 3, 0)
    x = b.pool(b.pool(x))
    return b.graph(b.conv(x, 4, 1, 2))


def test_auto_takes_tiles_where_they_pay() -> None:
    plain = compile_lowered(wide(), M4, name="m")
    tiles = compile_lowered(wide(), M4, name="m", patches="auto")

    assert tiles.plan.arena_bytes < 0.5 * plain.plan.arena_bytes
    cut, *others = tiles.choices
    assert cut.what == "patches"
    assert {choice.what for choice in others} <= {"kernel"}
    assert macs(tiles.graph) - macs(plain.graph) == cut.extra_macs


def test_one_column_of_tiles_moves_no_bytes() -> None:
    """Cuts and joins are views: the layers are those of the tiles and of the rest."""
    layers = compile_lowered(wide(), M4, name="m", patches=(4, 1)).program.layers

    assert {layer.op for layer in layers} == {"ConvS8", "MaxPool"}


def test_a_limit_is_held_and_what_it_cost_is_said() -> None:
    plain = compile_lowered(wide(), M4, name="m")
    limit = plain.plan.arena_bytes - 1
    fitted = compile_lowered(wide(), M4, name="m", ram_limit_bytes=limit, patches="auto")

    assert fitted.plan.arena_bytes <= limit
    assert fitted.choices and all(choice.extra_instructions >= 0 for choice in fitted.choices)
    assert fitted.plan.arena_bytes in [a.arena_bytes for a in fitted.alternatives]
    assert fitted.alternatives[0].extra_instructions == 0
    assert not compile_lowered(
        wide(), M4, name="m", ram_limit_bytes=limit + 1, patches="auto"
    ).choices


def test_no_limit_is_given_up_that_a_smaller_one_is_met_under() -> None:
    """Down to the smallest arena that the complaint about an impossible limit names; where more
    memory is allowed, it costs no more (but for what the search by bargains misses)."""
    with pytest.raises(PlanError, match="the smallest arena found is") as found:
        compile_lowered(wide(), M4, name="m", ram_limit_bytes=64, patches="auto")
    smallest = int(re.findall(r"found is (\d+) bytes", str(found.value))[0])
    largest = compile_lowered(wide(), M4, name="m").plan.arena_bytes

    costs = []
    for limit in np.linspace(smallest, largest, 5, dtype=int):
        fitted = compile_lowered(wide(), M4, name="m", ram_limit_bytes=int(limit), patches="auto")
        assert fitted.plan.arena_bytes <= limit
        costs.append(sum(choice.extra_instructions for choice in fitted.choices))
    assert all(b <= 1.2 * a for a, b in pairwise(costs)), costs
    assert costs[-1] == 0 < costs[0]


def test_a_plane_at_the_peak_shrinks_for_nearly_nothing_but_not_for_speed() -> None:
    b = Builder((1, 32, 32, 4))
    x = window(b, b.lut(b.inputs[0], 1), 3, 2, (0, 1), "depthwise")
    graph = b.graph(b.conv(x, 64, 3, 1))
    fast = compile_lowered(graph, target("m4", optimize="speed"), name="m")
    small = compile_lowered(graph, M4, name="m")

    assert not fast.choices
    assert [c.detail for c in small.choices] == [
        "nn_depthwise_s8_dsp3x3 in 2 bands or more instead of nn_depthwise_s8_dsp3x3"
    ]
    assert small.plan.arena_bytes < fast.plan.arena_bytes


def test_an_impossible_limit_names_what_is_in_the_way() -> None:
    with pytest.raises(PlanError, match=r"\d+ more than the limit of 100; there lie .* bytes\)"):
        compile_lowered(wide(), M4, name="m", ram_limit_bytes=100, patches="auto")


def test_tiles_that_cannot_be_are_refused() -> None:
    with pytest.raises(PlanError, match="no layers can run in 40x1 tiles"):
        compile_lowered(wide(), M4, name="m", patches=(40, 1))
