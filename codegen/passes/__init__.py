# SPDX-License-Identifier: MIT
"""From the ONNX dialect to the lowered one, as a sequence of small pure passes.

Each pass is a function from graph to graph that keeps every output bit; together they turn what
exporters write into the lean graph that kernels exist for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from codegen.errors import Problem, RefusedError, UnsupportedError
from codegen.ir import Graph
from codegen.passes.finish import (
    copy_outputs,
    name_outputs,
    refuse_leftovers,
    share_constants,
    unique_names,
)
from codegen.passes.floats import lower_floats
from codegen.passes.fold_batchnorm import fold_batchnorm
from codegen.passes.fold_constants import fold_constants
from codegen.passes.fold_pad import fold_pad
from codegen.passes.fuse_activation import fuse_activation
from codegen.passes.fuse_tables import fuse_tables
from codegen.passes.integer import lower_integer
from codegen.passes.layout import choose_layout
from codegen.passes.make_signed import make_signed
from codegen.passes.merge_bias import merge_bias
from codegen.passes.move_quantize import move_quantize
from codegen.passes.movement import lower_movement
from codegen.passes.quantize import lower_quantize

__all__ = ["PASSES", "lower"]

Pass = Callable[[Graph], Graph]

PASSES: Final[tuple[Pass, ...]] = (
    fold_constants,
    lower_movement,
    make_signed,
    lower_quantize,
    merge_bias,
    fold_batchnorm,
    move_quantize,
    lower_integer,
    lower_floats,
    fold_pad,
    choose_layout,
    fuse_tables,
    fuse_activation,
    name_outputs,
    copy_outputs,
    share_constants,
    unique_names,
    refuse_leftovers,
)


def lower(graph: Graph, refused: Iterable[Problem] = ()) -> Graph:
    """The lowered graph of an ONNX-dialect one, some of whose nodes may already be `refused`.

    Raises UnsupportedError with all problems found.
    """
    problems = {problem.where: problem for problem in refused}
    for run in PASSES:
        try:
            graph = run(graph)
        except RefusedError as refusal:
            graph = refusal.graph
            for problem in refusal.problems:
                problems.setdefault(problem.where, problem)
    if problems:
        raise UnsupportedError(*problems.values())
    return graph
