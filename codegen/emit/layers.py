# SPDX-License-Identifier: MIT
"""From graph, variants and plan to a `Program`: each node becomes a layer with its pointers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from codegen.emit.names import comment, identifier
from codegen.emit.program import CTYPES, Arena, Argument, Layer, Port, Program, Table
from codegen.ir import Graph, Node, Tensor
from codegen.kernels.base import Call, Constant, Variant
from codegen.planner.memory_plan import MemoryPlan, Placed
from codegen.planner.needs import activation_inputs
from codegen.target import Target

_TYPE_SUFFIX = re.compile(r"(S8|F32)$")
_TOKEN = re.compile(r"@(\w+)@")


def build_program(
    name: str, graph: Graph, selection: Sequence[Variant | None], plan: MemoryPlan, target: Target
) -> Program:
    """The program that runs `graph`; `name` is a C identifier already (`names.model_name`)."""
    tensors = plan.tensors
    scratch = {r.first: r for r in plan.records if r.scratch}
    emitted = [i for i in range(len(graph.nodes)) if i not in plan.elided]
    digits = max(2, len(str(len(emitted) - 1)))
    tables = _Tables()
    layers: list[Layer] = []
    headers: set[str] = set()
    defines: set[str] = {"NN_SHARED"} if target.optimize == "size" else set()
    for step, index in enumerate(emitted):
        node, variant = graph.nodes[index], selection[index]
        assert variant is not None, f"{node.name} needs code but has no kernel"
        call = variant.emit(node, graph, target)
        op = _TYPE_SUFFIX.sub("", type(node.op).__name__).lower()
        prefix = f"{name}_l{step:0{digits}d}"
        body = tables.resolve(call, prefix, step)
        symbol = f"{prefix}_{op}_{identifier(node.name.split(';')[0])}"
        layers.append(
            _layer(symbol, node, graph, variant, target, tensors, scratch.get(step), body)
        )
        headers.update(call.headers)
        defines.update(call.defines)
    return Program(
        name,
        tuple(layers),
        tables.finished(),
        tuple(_port(graph.tensors[t]) for t in graph.inputs),
        tuple(_port(graph.tensors[t]) for t in graph.outputs),
        tuple(sorted(headers)),
        tuple(sorted(defines)),
        tuple(_arenas(plan)),
    )


def _arenas(plan: MemoryPlan) -> Iterator[Arena]:
    if plan.banks:
        yield from (Arena(bank.memory, bank.used_bytes) for bank in plan.banks)
    elif plan.arena_bytes:
        yield Arena("arena", plan.arena_bytes)


def _layer(
    symbol: str,
    node: Node,
    graph: Graph,
    variant: Variant,
    target: Target,
    placed: Mapping[str, Placed],
    scratch: Placed | None,
    body: str,
) -> Layer:
    inputs = activation_inputs(node, graph)
    xs = tuple(_argument(f"x{i}", graph.tensors[t], placed[t]) for i, t in enumerate(inputs))
    ys = tuple(_argument(f"y{i}", graph.tensors[t], placed[t]) for i, t in enumerate(node.outputs))
    room: Argument | None = None
    if scratch is not None:
        room = Argument(
            "scratch", "uint8_t", "", scratch.memory, scratch.offset, scratch.size_bytes
        )
    notes = [*_origin(node)]
    notes += [_note(a, graph.tensors[a.tensor], placed[a.tensor]) for a in (*xs, *ys)]
    if room:
        notes.append(f"scratch: {room.size_bytes} bytes at {room.memory} + {room.offset}")
    return Layer(
        symbol,
        node.name,
        type(node.op).__name__,
        variant.name,
        node.origin,
        xs,
        ys,
        room,
        tuple(variant.overlaps(node, graph, target)),
        body,
        tuple(notes),
    )


def _argument(name: str, tensor: Tensor, placed: Placed) -> Argument:
    ctype = CTYPES[tensor.dtype]
    return Argument(name, ctype, tensor.name, placed.memory, placed.offset, tensor.size_bytes)


def _origin(node: Node, most: int = 4) -> list[str]:
    """The ONNX nodes that became this layer, one per line."""
    names = list(dict.fromkeys(comment(name, 80) for name in node.origin or (node.name,)))
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return [f'from "{name}"' for name in names[:most]] + more


def _note(argument: Argument, tensor: Tensor, placed: Placed) -> str:
    """One line about a pointer: shape, quantization, place, lifetime."""
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    text = f"{argument.name}: {tensor.dtype} {shape}"
    if tensor.quant is not None and tensor.quant.axis is None:
        scale, zero_point = _quantization(tensor)
        text += f", scale {scale:.9g} zero point {zero_point}"
    return f"{text}, {placed.memory} + {placed.offset}, layers {placed.first} to {placed.last}"


def _quantization(tensor: Tensor) -> tuple[float | None, int]:
    if tensor.quant is None or tensor.quant.scale.size != 1:
        return None, 0
    return float(tensor.quant.scale.reshape(())), int(tensor.quant.zero_point.reshape(()))


def _port(tensor: Tensor) -> Port:
    scale, zero_point = _quantization(tensor)
    count = prod(tensor.shape)
    return Port(tensor.name, CTYPES[tensor.dtype], tensor.shape, count, scale, zero_point)


class _Tables:
    """Collects const arrays; equal ones are kept once, under the name of their first user."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, bytes], Table] = {}

    def resolve(self, call: Call, prefix: str, step: int) -> str:
        """The body with each `@suffix@` replaced by the symbol of its array."""
        symbols = {c.suffix: self._symbol(c, prefix, step) for c in call.constants}
        return _TOKEN.sub(lambda match: symbols[match[1]], call.body)

    def _symbol(self, constant: Constant, prefix: str, step: int) -> str:
        data = np.ascontiguousarray(constant.data).reshape(-1)
        key = constant.ctype, data.tobytes()
        known = self._tables.get(key)
        if known is None:
            symbol = f"{prefix}_{constant.suffix}"
            known = Table(symbol, constant.ctype, data, constant.align, ())
        align = max(known.align, constant.align)
        users = tuple(dict.fromkeys((*known.users, step)))
        self._tables[key] = Table(known.symbol, known.ctype, known.data, align, users)
        return known.symbol

    def finished(self) -> tuple[Table, ...]:
        return tuple(self._tables.values())
