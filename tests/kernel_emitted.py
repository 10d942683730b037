# SPDX-License-Identifier: MIT
"""Whole layers as the generator emits them: constants and body, inlined and specialised."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from kernel_host import compile_shared

from codegen.ir import Array
from codegen.kernels.base import Variant
from codegen.kernels.c_text import c_float
from codegen.target import CoreName, Optimize, Target
from simharness.machine import Machine
from simharness.testing.strategies import Case

_CTYPE = {"int8": "int8_t", "uint8": "uint8_t", "float32": "float", "int64": "int64_t"}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A case with the variant that runs it; `name` is its function in C."""

    name: str
    case: Case
    variant: Variant
    goal: Target


def layer_source(layer: Layer) -> str:
    """The constants of a layer and its function `name(x0, ..., y0, ..., scratch)`."""
    case, variant, goal = layer.case, layer.variant, layer.goal
    node, graph = case.node, case.graph
    call = variant.emit(node, graph, goal)
    lines = [
        *(f"#define {name}" for name in call.defines),
        *(f'#include "{name}"' for name in call.headers),
    ]
    body = call.body
    for constant in call.constants:
        name = f"{layer.name}_{constant.suffix}"
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
    lines.append(f"void {layer.name}({', '.join(parameters)});")
    lines += [f"void {layer.name}({', '.join(parameters)})", "{", body, "}"]
    return "\n".join(lines) + "\n"


def _arrays(layer: Layer) -> tuple[list[Array], list[Array]]:
    """All arguments, and those among them that are outputs."""
    case, graph = layer.case, layer.case.graph
    tensors = [graph.tensors[n] for n in case.node.outputs]
    outputs: list[Array] = [np.full(t.shape, 0x55, t.dtype) for t in tensors]
    scratch_bytes = layer.variant.scratch_bytes(case.node, graph, layer.goal)
    scratch = [np.full(scratch_bytes, 0xA5, np.uint8)] if scratch_bytes else []
    inputs = [np.array(value) for value in case.values.values()]
    return [*inputs, *outputs, *scratch], outputs


def emitted_on_host(layers: Sequence[Layer], *flags: str) -> list[list[Array]]:
    """The outputs of each layer; all are compiled together for this host."""
    source = "".join(layer_source(layer) for layer in layers)
    library = ctypes.CDLL(str(compile_shared(source, *flags)))
    results = []
    for layer in layers:
        arrays, outputs = _arrays(layer)
        getattr(library, layer.name)(*[ctypes.c_void_p(a.ctypes.data) for a in arrays])
        results.append(outputs)
    return results


def emitted_on_core(
    layers: Sequence[Layer],
    core: CoreName,
    toolchain: str = "auto",
    defines: Sequence[str] = (),
    optimize: Optimize = "balanced",
) -> list[tuple[list[Array], int]]:
    """The outputs of each layer on an emulated core, and the instructions that they took."""
    source = "".join(layer_source(layer) for layer in layers)
    machine = Machine(
        core, {"layers.c": source}, toolchain=toolchain, optimize=optimize, defines=defines
    )
    results = []
    for layer in layers:
        arrays, outputs = _arrays(layer)
        count = machine.count(layer.name, *arrays, returns=None)
        results.append((outputs, count.instructions))
    return results
