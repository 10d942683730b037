# SPDX-License-Identifier: MIT
"""Whole layers as the generator emits them: constants and body, inlined and specialised."""

from __future__ import annotations

import ctypes

import numpy as np
from kernel_host import compile_shared
from strategies import Case

from codegen.ir import Array
from codegen.kernels.base import Variant
from codegen.kernels.c_text import c_float
from codegen.target import CoreName, Target
from simharness.machine import Machine

_CTYPE = {"int8": "int8_t", "uint8": "uint8_t", "float32": "float"}


def layer_source(case: Case, variant: Variant, goal: Target) -> str:
    """A translation unit with the function `layer(x0, ..., y0, ..., scratch)`."""
    node, graph = case.node, case.graph
    call = variant.emit(node, graph, goal)
    lines = [*call.defines, *(f'#include "{name}"' for name in call.headers)]
    body = call.body
    for constant in call.constants:
        name = f"layer_{constant.suffix}"
        is_float = constant.ctype == "float"
        values = np.asarray(constant.data).ravel().tolist()
        text = ", ".join(c_float(v) if is_float else str(v) for v in values)
        text = text.replace("-2147483648", "(-2147483647 - 1)")
        lines.append(
            f"static const {constant.ctype} {name}[] "
            f"__attribute__((aligned({constant.align}))) = {{{text}}};"
        )
        body = body.replace(f"@{constant.suffix}@", name)
    parameters = [
        f"const {_CTYPE[graph.tensors[n].dtype]} *x{i}" for i, n in enumerate(case.values)
    ]
    parameters += [f"{_CTYPE[graph.tensors[n].dtype]} *y{i}" for i, n in enumerate(node.outputs)]
    if variant.scratch_bytes(node, graph, goal):
        parameters.append("uint8_t *scratch")
    lines += [f"void layer({', '.join(parameters)});"]
    lines += [f"void layer({', '.join(parameters)})", "{", body, "}"]
    return "\n".join(lines) + "\n"


def _arrays(case: Case, variant: Variant, goal: Target) -> tuple[list[Array], list[Array]]:
    node, graph = case.node, case.graph
    tensors = [graph.tensors[n] for n in node.outputs]
    outputs: list[Array] = [np.full(t.shape, 0x55, t.dtype) for t in tensors]
    scratch_bytes = variant.scratch_bytes(node, graph, goal)
    scratch = [np.full(scratch_bytes, 0xA5, np.uint8)] if scratch_bytes else []
    inputs = [np.array(value) for value in case.values.values()]
    return [*inputs, *outputs, *scratch], outputs


def emitted_on_host(case: Case, variant: Variant, goal: Target, *flags: str) -> list[Array]:
    """The outputs of the layer, compiled for this host."""
    library = ctypes.CDLL(str(compile_shared(layer_source(case, variant, goal), *flags)))
    arrays, outputs = _arrays(case, variant, goal)
    library.layer(*[ctypes.c_void_p(a.ctypes.data) for a in arrays])
    return outputs


def emitted_on_core(
    case: Case, variant: Variant, goal: Target, core: CoreName
) -> tuple[list[Array], int]:
    """The outputs of the layer on an emulated core, and the instructions that they took."""
    machine = Machine(core, {"layer.c": layer_source(case, variant, goal)}, optimize="balanced")
    arrays, outputs = _arrays(case, variant, goal)
    count = machine.count("layer", *arrays, returns=None)
    return outputs, count.instructions
