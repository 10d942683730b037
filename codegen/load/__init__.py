# SPDX-License-Identifier: MIT
"""Read an ONNX file into a `Graph` of the ONNX dialect, or say everything that is wrong with it.

The file is untrusted: sizes are checked before anything is allocated, external data never leaves
the model's own directory, and names are only ever names.
"""

from __future__ import annotations

from pathlib import Path

from codegen.errors import ModelError, Problem, RefusedError
from codegen.ir import Graph
from codegen.load.qoperator import expand_qoperators
from codegen.load.quantization import check_quantization
from codegen.load.read import name_first_outputs, read_model
from codegen.load.translate import translate

__all__ = ["load"]


def load(path: str | Path) -> Graph:
    """The graph in the ONNX file at `path`: static shapes, constants as tensors, sorted nodes.

    Raises ModelError (not a valid static ONNX model) or UnsupportedError (no kernel here), each
    with all the problems found; the latter is a RefusedError where the rest could be read.
    """
    try:
        model = read_model(Path(path))
        name_first_outputs(model)
        expand_qoperators(model, Path(path).parent)
        graph, unsupported = translate(model, Path(path))
    except UnicodeDecodeError:
        raise ModelError(Problem("a name in it is not valid UTF-8", Path(path).name)) from None
    try:
        graph = check_quantization(graph)
    except ModelError as error:
        raise ModelError(*error.problems, *unsupported) from None
    if unsupported:
        raise RefusedError(graph, *unsupported)
    return graph
