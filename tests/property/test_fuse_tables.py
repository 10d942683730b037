# SPDX-License-Identifier: MIT
"""What depends on one int8 value becomes a table, and no bit changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.ir import Graph
from codegen.ops import BinaryKind, BinaryS8, LutS8
from codegen.oracle import run
from codegen.passes.fuse_tables import fuse_tables
from simharness.testing.networks import Builder, networks

KINDS: list[BinaryKind] = ["add", "sub", "mul"]
BYTES = np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 8, 8)


def same_outputs(before: Graph, after: Graph) -> None:
    dice = np.random.default_rng(5)
    inputs = {
        name: dice.integers(-128, 128, before.tensors[name].shape).astype(np.int8)
        for name in before.inputs
    }
    ours, theirs = run(after, inputs), run(before, inputs)
    for name in before.outputs:
        np.testing.assert_array_equal(ours[name], theirs[name])


@given(networks())
def test_no_network_computes_anything_else(graph: Graph) -> None:
    same_outputs(graph, fuse_tables(graph))


@pytest.mark.parametrize("kind", KINDS)
@given(
    forms=st.lists(st.sampled_from(["x", "lut", "twice", "constant"]), min_size=2, max_size=2),
    zero_points=st.tuples(*[st.integers(-128, 127)] * 3),
    unsigned=st.booleans(),
)
def test_every_pair_of_operands(
    kind: BinaryKind, forms: list[str], zero_points: tuple[int, int, int], unsigned: bool
) -> None:
    b = Builder(BYTES.shape)
    (x,) = b.inputs
    makers = {
        "x": lambda: x,
        "lut": lambda: b.lut(x, 1),
        "twice": lambda: b.lut(b.lut(x, 2), 3),
        "constant": lambda: b.constant(np.int8([[[[7]]]])),
    }
    left, right = (makers[form]() for form in forms)
    first, second, third = zero_points
    op = BinaryS8(kind, 0.1, first, 0.02, second, 0.03, third, unsigned=unsigned)
    before = b.graph(b.add(op, (left, right), BYTES.shape))
    after = fuse_tables(before)
    same_outputs(before, after)
    constant = forms == ["constant", "constant"]
    assert [type(node.op) for node in after.nodes] == [BinaryS8 if constant else LutS8]


def test_two_varying_operands_stay_two() -> None:
    b = Builder(BYTES.shape, BYTES.shape)
    graph = b.graph(b.plus(*b.inputs))
    assert [type(node.op) for node in fuse_tables(graph).nodes] == [BinaryS8]
