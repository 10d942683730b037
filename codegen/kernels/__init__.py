# SPDX-License-Identifier: MIT
"""The registry of kernel variants: which C runs which node, fastest first, references last."""

from __future__ import annotations

from codegen.errors import Problem, UnsupportedError
from codegen.ir import Graph, Node
from codegen.kernels import (
    argmax,
    binary,
    conv,
    data,
    dense,
    normalization,
    pool,
    quantize,
    recurrent,
    softmax,
    unary,
)
from codegen.kernels.base import Variant
from codegen.kernels.fast_kernels import FAST_DSP, SMALL_DSP
from codegen.kernels.fast_v6m_kernels import FAST_V6M
from codegen.target import Target

REFERENCES: tuple[Variant, ...] = (
    *conv.REFERENCES,
    *dense.REFERENCES,
    *binary.REFERENCES,
    *unary.REFERENCES,
    *pool.REFERENCES,
    *softmax.REFERENCES,
    *normalization.REFERENCES,
    *recurrent.REFERENCES,
    *argmax.REFERENCES,
    *quantize.REFERENCES,
    *data.REFERENCES,
)

FAST: tuple[Variant, ...] = (*FAST_DSP, *FAST_V6M)

VARIANTS: tuple[Variant, ...] = (*FAST, *SMALL_DSP, *REFERENCES)


def select(node: Node, graph: Graph, target: Target) -> Variant:
    """The first variant that accepts this node; references only when the target asks for them.

    Raises UnsupportedError when none does, which means that lowering let something through.
    """
    for variant in REFERENCES if target.reference_kernels else VARIANTS:
        if variant.accepts(node, graph, target):
            return variant
    raise UnsupportedError(
        Problem(
            f"no kernel takes {type(node.op).__name__} of this form",
            node.name,
            "please report this model",
        )
    )
