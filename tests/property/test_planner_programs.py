# SPDX-License-Identifier: MIT
"""Random networks: every plan is cleared, and the C computes what the oracle does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from host_program import run_program
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import compile_lowered, oracle
from codegen.build import in_banks
from codegen.ir import Graph
from codegen.kernels.reference import Reference
from codegen.ops import Concat, Slice, View
from codegen.planner import Bank
from codegen.target import target
from simharness.testing.networks import Builder, networks

M4 = target("m4")
PLAIN = target("m4", reference_kernels=True)


@given(graph=networks())
def test_every_plan_is_cleared_and_no_worse_than_greedy(graph: Graph) -> None:
    """`compile_lowered` runs the independent checker; it raises where a plan is wrong."""
    best = compile_lowered(graph, M4, name="m").plan
    greedy = compile_lowered(graph, M4, name="m", strategy="greedy_by_size").plan

    assert best.lower_bound_bytes <= best.arena_bytes <= greedy.arena_bytes


@given(graph=networks())
def test_emission_is_deterministic(graph: Graph) -> None:
    assert (
        compile_lowered(graph, M4, name="m").sources == compile_lowered(graph, M4, name="m").sources
    )


@settings(max_examples=25)
@given(graph=networks(), seed=st.integers(0, 99))
def test_generated_c_computes_what_the_oracle_does(graph: Graph, seed: int) -> None:
    """To the bit, with views, joins and in-place operators wherever the planner wanted them."""
    dice = np.random.default_rng(seed)
    values = {
        name: dice.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
        for name in graph.inputs
    }
    wanted = oracle.run(graph, values)

    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_lowered(graph, M4, name="m")
        got = run_program(compiled, Path(folder), list(values.values()))

    for name, array in zip(graph.outputs, got, strict=True):
        np.testing.assert_array_equal(array, wanted[name])


@pytest.fixture
def kernels_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain kernels that want their tensors apart, whatever they really allow."""
    monkeypatch.setattr(Reference, "overlaps", lambda *_: ())


def branches() -> Graph:
    """Two branches, each wide in the middle and narrow at its end, joined by a sum."""
    b = Builder((1, 8, 8, 4))
    x = b.conv(b.inputs[0], 4, 1, 0)
    wide = [b.conv(x, 16, 1, seed) for seed in (1, 2)]
    narrow = [b.conv(y, 2, 1, 3) for y in wide]
    return b.graph(b.plus(*narrow))


def test_order_finishes_one_branch_before_it_starts_the_next(kernels_apart: None) -> None:
    """The given order keeps both wide tensors alive; the chosen one does not."""
    plan = compile_lowered(branches(), PLAIN, name="m").plan

    # One wide tensor at a time, beside x and what the first branch left.
    assert plan.arena_bytes == 64 * (16 + 4 + 2)
    assert plan.proven


def test_views_cost_nothing(kernels_apart: None) -> None:
    b = Builder((1, 4, 4, 8))
    x = b.conv(b.inputs[0], 8, 1, 0)
    parts = [b.slice(x, 1, 0, 2), b.slice(x, 1, 2, 2)]
    y = b.concat(1, *(b.lut(part, seed) for seed, part in enumerate(parts)))
    compiled = compile_lowered(b.graph(b.conv(b.view(y), 8, 1, 5)), PLAIN, name="m")

    silent = [compiled.graph.nodes[i].op for i in compiled.plan.elided]
    assert {type(op) for op in silent} == {View, Slice, Concat}
    assert len(compiled.program.layers) == 4


def test_a_join_that_would_cost_memory_is_a_copy(kernels_apart: None) -> None:
    """A small early input would keep the whole joined tensor reserved across a large middle."""
    b = Builder((1, 8, 8, 4))
    early = b.conv(b.inputs[0], 4, 1, 0)
    large = b.conv(b.conv(early, 64, 1, 1), 64, 1, 2)
    late = b.conv(large, 4, 1, 3)
    graph = b.graph(b.conv(b.pool(b.concat(1, early, late)), 4, 1, 4))
    compiled = compile_lowered(graph, PLAIN, name="m")

    assert not compiled.plan.elided
    assert compiled.plan.arena_bytes == 64 * (64 + 64 + 4)


@settings(max_examples=25)
@given(graph=networks(), share=st.floats(0.1, 1.0), seed=st.integers(0, 99))
def test_an_arena_in_pieces_computes_the_same(graph: Graph, share: float, seed: int) -> None:
    """The checker clears every split that is found, and the C computes what the oracle does."""
    whole = compile_lowered(graph, M4, name="m")
    room = int(share * whole.plan.arena_bytes)
    banks = [Bank("fast", room), Bank("slow", whole.plan.arena_bytes)]
    compiled = in_banks(whole, banks)
    dice = np.random.default_rng(seed)
    values = {
        name: dice.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
        for name in graph.inputs
    }
    wanted = oracle.run(graph, values)

    for record in compiled.plan.records:
        if record.memory == "arena_fast":
            assert record.offset + record.size_bytes <= room
    with tempfile.TemporaryDirectory() as folder:
        got = run_program(compiled, Path(folder), list(values.values()))
    for name, array in zip(graph.outputs, got, strict=True):
        np.testing.assert_array_equal(array, wanted[name])
