# SPDX-License-Identifier: MIT
"""What each layer of a program may touch: from the emitted program itself, not from the planner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from codegen.build import Compiled
from codegen.emit import render
from codegen.emit.program import Arena, Argument
from simharness.firmware import GUARD_BYTES
from simharness.image import Image

Access = Literal["read", "write", "scratch"]

RED_ZONE_BYTES = 64

STACK_BYTES = 8192
"""Below the initial stack pointer, any layer's to use, where the program does not say how many."""


@dataclass(frozen=True, slots=True)
class Region:
    """`size_bytes` at `address` that a layer may access; `tensor` is what they hold."""

    tensor: str
    address: int
    size_bytes: int
    access: Access


@dataclass(frozen=True, slots=True)
class Contract:
    """Regions by layer symbol; memory under watch (address, size); what holds tensors before and
    after the run. `same` maps a tensor to the one whose bytes it is (views, joins, cuts).
    `stack_bytes` counts where the image has no `sim_stack_bottom`."""

    layers: Mapping[str, tuple[Region, ...]]
    watched: tuple[tuple[int, int], ...]
    given: tuple[Region, ...]
    results: tuple[Region, ...]
    same: Mapping[str, str]
    stack_bytes: int = STACK_BYTES


def contract(compiled: Compiled, image: Image) -> Contract:
    """What each layer of a generated program may touch, from the program's own calls."""
    program = compiled.program
    arenas = {arena.memory for arena in program.arenas}

    def place(argument: Argument) -> int:
        symbol = f"{program.name}_{argument.memory}"
        if argument.memory not in arenas:
            symbol = argument.memory.replace("output", "sim_out").replace("input", "sim_in")
        return image.symbols[symbol].address + argument.offset

    def regions(arguments: Iterable[Argument], access: Access, scratch: str) -> list[Region]:
        return [Region(a.tensor or scratch, place(a), a.size_bytes, access) for a in arguments]

    layers = {
        layer.symbol: tuple(
            regions(layer.inputs, "read", "")
            + regions(layer.outputs, "write", "")
            + regions([layer.scratch] if layer.scratch else [], "scratch", f"{layer.node} scratch")
        )
        for layer in program.layers
    }
    graph = compiled.graph
    watched = [
        (image.symbols[f"{program.name}_{a.memory}"].address - GUARD_BYTES,
         a.size_bytes + 2 * GUARD_BYTES)
        for a in program.arenas
        if f"{program.name}_{a.memory}" in image.symbols
    ]  # fmt: skip
    ports: dict[str, list[Region]] = {"sim_in": [], "sim_out": []}
    for prefix, names in (("sim_in", graph.inputs), ("sim_out", graph.outputs)):
        for number, name in enumerate(names):
            symbol = image.symbols[f"{prefix}{number}"]
            watched.append((symbol.address, symbol.size_bytes))
            ports[prefix].append(Region(name, symbol.address, symbol.size_bytes, "write"))
    return Contract(
        layers, tuple(watched), tuple(ports["sim_in"]), tuple(ports["sim_out"]), _views(compiled)
    )


def _views(compiled: Compiled) -> dict[str, str]:
    """Tensors joined by nodes that need no code hold the same bytes."""
    graph = compiled.graph
    parent: dict[str, str] = {}

    def find(t: str) -> str:
        while t in parent:
            t = parent[t]
        return t

    for number in compiled.plan.elided:
        node = graph.nodes[number]
        activations = [t for t in node.inputs if t and graph.tensors[t].data is None]
        first, *others = (*activations, *node.outputs)
        for other in others:
            a, b = find(first), find(other)
            if a != b:
                parent[b] = a
    return {t: find(t) for t in parent}


def spread(compiled: Compiled) -> Compiled:
    """The same program with every tensor in a place of its own, red zones between them.

    As planned, a kernel that reads beside its input may hit another of its inputs and go unseen;
    here it hits a red zone.
    """
    same = _views(compiled)
    program = compiled.program
    arenas = {arena.memory for arena in program.arenas}
    arguments = [a for y in program.layers for a in y.arguments if a.memory in arenas]
    scratch = {id(y.scratch): f"{y.node} scratch" for y in program.layers if y.scratch}

    def owner(a: Argument) -> str:
        return scratch.get(id(a)) or same.get(a.tensor, a.tensor)

    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for a in arguments:
        low[owner(a)] = min(low.get(owner(a), a.offset), a.offset)
        high[owner(a)] = max(high.get(owner(a), 0), a.offset + a.size_bytes)
    base: dict[str, int] = {}
    end = RED_ZONE_BYTES
    for name in low:
        start = end + low[name] % 8  # a view may begin where 8 does not divide
        base[name] = start
        end = -(-(start + high[name] - low[name]) // 8) * 8 + RED_ZONE_BYTES

    def moved(a: Argument) -> Argument:
        if a.memory not in arenas:
            return a
        offset = base[owner(a)] + a.offset - low[owner(a)]
        return replace(a, memory="arena", offset=offset)

    layers = tuple(
        replace(
            y,
            inputs=tuple(map(moved, y.inputs)),
            outputs=tuple(map(moved, y.outputs)),
            scratch=moved(y.scratch) if y.scratch else None,
        )
        for y in program.layers
    )
    apart = replace(program, layers=layers, arenas=(Arena("arena", end),) if arguments else ())
    plan = replace(compiled.plan, banks=())
    return replace(compiled, plan=plan, program=apart, sources=render(apart))
