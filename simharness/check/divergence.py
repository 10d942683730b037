# SPDX-License-Identifier: MIT
"""The first layer that computes something else than it should."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codegen import oracle
from codegen.ir import Array, Graph, Node
from simharness.check.compare import FLOAT_TOLERANCE, distances
from simharness.report.model import Divergence


def first_divergence(
    graph: Graph, expected: Mapping[str, Array], actual: Mapping[str, Array], sample: int = 0
) -> Divergence | None:
    """The first wrong element of the first wrong tensor in execution order, or None.

    `graph` is lowered; `expected` are all its tensors (`oracle.run` with `keep_all`), `actual`
    those that the emulated program was seen to compute. Integers must be equal, floats close.
    """
    for node in graph.nodes:
        for name in node.outputs:
            if name in actual:
                index = _first_wrong(actual[name], expected[name])
                if index is not None:
                    return _divergence(graph, node, name, index, expected, actual, sample)
    return None


def _first_wrong(ours: Array, theirs: Array) -> tuple[int, ...] | None:
    if np.issubdtype(theirs.dtype, np.floating):
        scale = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0))
        wrong = distances(ours, theirs) > FLOAT_TOLERANCE * scale
    else:
        wrong = ours != theirs
    if not wrong.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _divergence(
    graph: Graph,
    node: Node,
    name: str,
    index: tuple[int, ...],
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    sample: int,
) -> Divergence:
    sums = oracle.accumulators(node, graph, expected)
    return Divergence(
        layer=node.name,
        op=type(node.op).__name__,
        tensor=name,
        index=index,
        ours=float(actual[name][index]),
        reference=float(expected[name][index]),
        sample=sample,
        accumulator=None if sums is None else int(sums[index]),
    )
