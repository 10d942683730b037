# SPDX-License-Identifier: MIT
"""Convolutions that add a tensor to their outputs: what kernels with a residual are given."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.ir import Graph, Node
from codegen.kernels.base import Call, Overlap
from codegen.kernels.c_text import c_struct
from codegen.kernels.fast_add import AddRecipe, add_recipe
from codegen.ops import ConvAddS8, ConvS8


@dataclass(frozen=True, slots=True)
class Residual:
    """What a convolution adds to each output: activation input 1, on which the sums land."""

    op: ConvAddS8
    recipe: AddRecipe
    size_bytes: int

    def wrap(self, call: Call) -> Call:
        """The kernel's call, which finds `&r` among its arguments and in y0 what to add to."""
        recipe, add = self.recipe, self.op.add
        factors = recipe.a_factor, recipe.b_factor
        fields = {
            "factor": factors[self.op.place], "y_factor": factors[1 - self.op.place],
            "offset": recipe.offset, "shift": recipe.shift, "lo": add.lo, "hi": add.hi,
        }  # fmt: skip
        body = (
            f"{c_struct('nn_residual', 'r', fields)}\n"
            f"if (y0 != x1) {{\n    nn_copy({self.size_bytes}, x1, y0);\n}}\n{call.body}"
        )
        return Call((*call.headers, "nn_copy.h"), call.constants, body, call.defines)


ON_THE_SUMMAND = (Overlap(1, 0),)
"""Each output is written where its summand was read."""


def with_residual(node: Node, graph: Graph) -> tuple[ConvS8, Residual | None] | None:
    """The convolution of a node and what it adds, if anything; None for what kernels do not take.

    An odd number of filters is refused: one of them is computed twice, so it would add up twice.
    """
    op = node.op
    if isinstance(op, ConvS8):
        return op, None
    y = graph.tensors[node.outputs[0]]
    if not isinstance(op, ConvAddS8) or y.shape[-1] % 2:
        return None
    recipe = add_recipe(op.add, bits=0)
    return (op.conv, Residual(op, recipe, y.size_bytes)) if recipe is not None else None
