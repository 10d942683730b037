# SPDX-License-Identifier: MIT
"""Element-wise int8 kernels on all 65,536 pairs of inputs, with and without an FPU's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from kernel_call import node_outputs, node_task, variant_of
from kernel_host import Host, host

from codegen import ops, oracle
from codegen.ir import Array
from simharness.testing import strategies
from simharness.testing.strategies import Case

EVERY = np.arange(-128, 128, dtype=np.int8)
PATHS = {"float": (), "integer": ("-DNN_REQUANT_INTEGER",)}


@st.composite
def all_pairs(draw: DrawFn, kind: ops.BinaryKind) -> Case:
    """Any scales, in ratios between 2^-12 and 2^12 as well as the usual ones."""
    wide = draw(st.booleans())
    a_scale = draw(strategies.scales(-12.0, 0.0) if wide else strategies.scales(-6.0, -4.0))
    b_scale = draw(strategies.scales(-12.0, 0.0) if wide else strategies.scales(-6.0, -4.0))
    out_scale = draw(strategies.scales(-12.0, 0.0) if wide else strategies.scales(-6.0, -4.0))
    if kind == "mul" and not wide:
        out_scale = float(np.float32(out_scale * a_scale * 128))
    zps = [draw(strategies.zero_points()) for _ in range(3)]
    op = ops.BinaryS8(
        kind, a_scale, zps[0], b_scale, zps[1], out_scale, zps[2], unsigned=draw(st.booleans())
    )
    values = {"a": EVERY.reshape(256, 1), "b": EVERY.reshape(1, 256)}
    return strategies.case(op, values, {}, (256, 256), "int8")


def run(case: Case, runner: Host) -> Array:
    variant, goal = variant_of(case.node, case.graph)
    task = node_task(case.node, case.graph, case.values, variant, goal)
    return node_outputs(case.node, case.graph, len(case.values), runner.run(task))[0]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_all_pairs(kind: ops.BinaryKind, path: str) -> None:
    runner = host(*PATHS[path])

    @settings(max_examples=60)
    @given(all_pairs(kind))
    def check(case: Case) -> None:
        np.testing.assert_array_equal(run(case, runner), oracle.run(case.graph, case.values)["y"])

    check()


@pytest.mark.parametrize("path", PATHS)
def test_requantization_of_every_sum(path: str) -> None:
    """A dense layer of one weight and many biases walks through 2^20 consecutive accumulators."""
    runner = host(*PATHS[path])
    count = 1 << 20
    bias = np.arange(-count // 2, count // 2, dtype=np.int32)
    for scale in (1 / 4096, 1 / 3000.7, 0.5 / 1024, 0.000244140625 * 1.5):
        requant = ops.Requant(np.array([scale], np.float32), 0, 3, -128, 127)
        constants = {"w": np.zeros((count, 1), np.int8), "b": bias}
        case = strategies.case(
            ops.DenseS8(requant), {"x": np.ones((1, 1), np.int8)}, constants, (1, count), "int8"
        )
        np.testing.assert_array_equal(run(case, runner), oracle.run(case.graph, case.values)["y"])
