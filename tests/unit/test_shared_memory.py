# SPDX-License-Identifier: MIT
"""Each way of using less memory for nothing has its own entry in the report."""

from __future__ import annotations

import pytest

from codegen import compile_lowered
from codegen.ir import Graph
from codegen.target import target
from simharness.report.assemble import plan
from simharness.report.model import Plan
from simharness.testing.networks import Builder

M4 = target("m4")


def planned(graph: Graph) -> Plan:
    """The report's plan; the independent checker has cleared it."""
    return plan(compile_lowered(graph, M4, name="m"))


@pytest.mark.parametrize("kind", ["reshape", "concat", "slice"])
def test_views_take_no_code_and_no_memory(kind: str) -> None:
    """A reshape, a join of whole rows, and a cut of whole rows."""
    b = Builder((1, 4, 4, 4))
    x = b.lut(b.inputs[0], 1)
    if kind == "concat":
        x = b.concat(1, x, b.lut(b.inputs[0], 2))
    else:
        x = b.view(x) if kind == "reshape" else b.slice(x, 1, 1, 2)
    found = planned(b.graph(b.conv(x, 4, 1, 3)))

    assert len(found.views) == 1


def test_element_wise_operators_and_sums_in_place() -> None:
    b = Builder((1, 4, 4, 4))
    x = b.lut(b.lut(b.inputs[0], 1), 2)
    found = planned(b.graph(b.conv(b.plus(x, b.lut(b.inputs[0], 3)), 4, 1, 4)))

    assert len(found.in_place) >= 2


def test_a_convolution_over_its_dying_input() -> None:
    b = Builder((1, 8, 8, 4))
    found = planned(b.graph(b.lut(b.conv(b.lut(b.inputs[0], 1), 8, 3, 2), 3)))

    assert len(found.overlapped) == 1


def test_branches_run_in_the_order_of_least_memory() -> None:
    """Two branches that grow and shrink: as given, both are wide at the same time."""
    b = Builder((1, 8, 8, 2))
    wide = [b.conv(b.inputs[0], 32, 1, seed) for seed in (1, 2)]
    thin = [b.conv(x, 2, 1, 3) for x in wide]
    found = planned(b.graph(b.plus(*thin)))

    assert found.reordered
