# SPDX-License-Identifier: MIT
"""Run one node on constants with ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from codegen.errors import ModelError, Problem
from codegen.ir import Array


def evaluate(node: onnx.NodeProto, opset: int, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of `node` by name. Raises ModelError when it cannot be computed.

    The implementation is imported only here: few files need it, and it takes its time.
    """
    from onnx.reference import ReferenceEvaluator

    anything = onnx.TypeProto()
    inputs = [onnx.helper.make_value_info(name, anything) for name in feeds]
    outputs = [onnx.helper.make_value_info(name, anything) for name in node.output if name]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "fold", inputs, outputs),
        opset_imports=[onnx.helper.make_opsetid(node.domain, opset)],
    )
    try:
        values = ReferenceEvaluator(model).run(None, dict(feeds))
    except Exception as error:
        where = f"node {node.name!r} ({node.op_type})"
        raise ModelError(Problem(f"cannot be computed at build time: {error}", where)) from error
    names = [name for name in node.output if name]
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}
