# SPDX-License-Identifier: MIT
"""Convict or clear a plan from the emitted program alone; shares no code with any planner.

The program is run symbolically. Every byte of every tensor has a number; every byte of the arena
and of the callers' buffers remembers which number was last written there. A layer may read a tensor
only where its own numbers still lie. Views, cuts and joins are given the numbers that they have by
the meaning of their operator, so that an alias is right when the bytes are, whatever the planner
called it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from codegen.emit.program import Argument, Layer, Program
from codegen.errors import PlanError, Problem
from codegen.ir import ITEM_BYTES, Graph, Node
from codegen.kernels.base import Variant
from codegen.ops import Concat, Slice, View
from codegen.target import Target

Numbers = npt.NDArray[np.int64]
NOTHING = -1
"""What uninitialised memory and scratch hold."""

_POINTER_ALIGN = 4
_SCRATCH_ALIGN = 8


@dataclass(slots=True)
class _Checker:
    program: Program
    graph: Graph
    numbers: dict[str, Numbers] = field(default_factory=dict)
    owners: list[tuple[int, str]] = field(default_factory=list)
    shadows: dict[str, Numbers] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    next_number: int = 0

    def complain(self, where: str, what: str) -> None:
        self.problems.append(Problem(what, where, "this is a bug of the planner: please report it"))

    def give_numbers(self, tensor: str) -> None:
        """New numbers for the bytes of a tensor that a layer or the caller writes."""
        size_bytes = self.graph.tensors[tensor].size_bytes
        self.numbers[tensor] = np.arange(self.next_number, self.next_number + size_bytes)
        self.owners.append((self.next_number, tensor))
        self.next_number += size_bytes

    def name_of(self, number: int) -> str:
        """Whose byte a number is, for a message."""
        if number == NOTHING:
            return "uninitialised memory or scratch"
        start, tensor = self.owners[bisect_right(self.owners, (number, "\U0010ffff")) - 1]
        return f"byte {number - start} of {tensor!r}"

    def look(self, node: Node) -> None:
        """Number the output of a node without code: its inputs, as its operator arranges them."""
        parts = [self.numbers[name] for name in node.inputs if name in self.numbers]
        if len(parts) != len([name for name in node.inputs if name]):
            self.complain(
                node.name, "has no code, yet an input of it is constant or never computed"
            )
            self.give_numbers(node.outputs[0])
            return
        y = self.graph.tensors[node.outputs[0]]
        x = self.graph.tensors[node.inputs[0]]
        item = ITEM_BYTES[y.dtype]
        match node.op:
            case View():
                found = parts[0]
            case Slice(starts=starts, steps=steps):
                picked = parts[0].reshape(*x.shape, item)
                for axis, (start, step, count) in enumerate(
                    zip(starts, steps, y.shape, strict=True)
                ):
                    picked = np.take(picked, start + step * np.arange(count), axis)
                found = picked.reshape(-1)
            case Concat(axis=axis):
                pieces = [
                    numbers.reshape(*self.graph.tensors[name].shape, item)
                    for name, numbers in zip(node.inputs, parts, strict=True)
                ]
                found = np.concatenate(pieces, axis).reshape(-1)
            case _:
                self.complain(node.name, f"{type(node.op).__name__} has no code in the program")
                self.give_numbers(y.name)
                return
        self.numbers[y.name] = found

    def window(self, layer: str, argument: Argument, align: int) -> Numbers | None:
        """The shadow bytes that a pointer covers, if they are in bounds."""
        shadow = self.shadows.get(argument.memory)
        what = argument.tensor or argument.name
        if shadow is None:
            self.complain(layer, f"{what!r} lies in {argument.memory}, which does not exist")
            return None
        if argument.offset % align:
            self.complain(
                layer,
                f"{what!r} at {argument.memory} + {argument.offset} is not aligned to {align}",
            )
        if argument.offset < 0 or argument.offset + argument.size_bytes > shadow.size:
            self.complain(
                layer,
                f"{what!r} covers {argument.memory} + {argument.offset} to "
                f"{argument.offset + argument.size_bytes}, beyond its {shadow.size} bytes",
            )
            return None
        return shadow[argument.offset : argument.offset + argument.size_bytes]

    def read(self, where: str, argument: Argument) -> None:
        window = self.window(where, argument, _POINTER_ALIGN)
        wanted = self.numbers.get(argument.tensor)
        if window is None or wanted is None:
            return
        if window.size != wanted.size:
            self.complain(
                where, f"{argument.tensor!r} has {wanted.size} bytes, {window.size} are read"
            )
        elif not np.array_equal(window, wanted):
            at = int(np.flatnonzero(window != wanted)[0])
            self.complain(
                where,
                f"reads byte {at} of {argument.tensor!r} at {argument.memory} + "
                f"{argument.offset + at}, where {self.name_of(int(window[at]))} lies",
            )

    def write(self, where: str, argument: Argument) -> None:
        window = self.window(where, argument, _POINTER_ALIGN)
        numbers = self.numbers[argument.tensor]
        if argument.memory.startswith("input"):
            self.complain(where, f"writes {argument.tensor!r} into the caller's {argument.memory}")
        elif window is not None and window.size != numbers.size:
            self.complain(
                where, f"{argument.tensor!r} has {numbers.size} bytes, {window.size} are written"
            )
        elif window is not None:
            window[:] = numbers

    def layer(self, layer: Layer, node: Node) -> None:
        where = f"layer {layer.symbol}"
        names = tuple(
            name for name in node.inputs if name and self.graph.tensors[name].data is None
        )
        if tuple(a.tensor for a in layer.inputs) != names:
            self.complain(where, f"reads {[a.tensor for a in layer.inputs]}, not {list(names)}")
        if tuple(a.tensor for a in layer.outputs) != node.outputs:
            self.complain(where, f"writes {[a.tensor for a in layer.outputs]}, not {node.outputs}")
        for argument in layer.inputs:
            if argument.tensor not in self.numbers:
                self.complain(where, f"reads {argument.tensor!r} before anything computed it")
            self.read(where, argument)
        self.overlaps(where, layer)
        if layer.scratch is not None:
            room = self.window(where, layer.scratch, _SCRATCH_ALIGN)
            if room is not None:
                room[:] = NOTHING
        for name in node.outputs:
            self.give_numbers(name)
        for argument in layer.outputs:
            if argument.tensor in self.numbers:
                self.write(where, argument)

    def overlaps(self, where: str, layer: Layer) -> None:
        """Within one layer, only what its kernel allows may share memory."""
        for j, y in enumerate(layer.outputs):
            for i, x in enumerate(layer.inputs):
                if _meet(x, y) and not any(
                    o.input == i and o.output == j and _allowed(x, y, o.exact, o.lead_bytes)
                    for o in layer.overlaps
                ):
                    self.complain(
                        where,
                        f"output {y.tensor!r} at {y.memory} + {y.offset} overlaps input "
                        f"{x.tensor!r} at + {x.offset}, which {layer.kernel} does not allow",
                    )
        loose: Sequence[Argument] = [*layer.outputs, *([layer.scratch] if layer.scratch else [])]
        for k, a in enumerate(loose):
            for b in loose[:k]:
                if _meet(a, b):
                    self.complain(where, f"{a.name} overlaps {b.name} at {b.memory} + {b.offset}")
        for x in layer.inputs:
            if layer.scratch is not None and _meet(x, layer.scratch):
                self.complain(where, f"scratch overlaps input {x.tensor!r}")


def check(
    program: Program, graph: Graph, selection: Sequence[Variant | None], target: Target
) -> None:
    """Raise PlanError, naming layers and tensors, unless the memory of `program` suits `graph`.

    `graph` is what the program was made from; its nodes may stand in any valid order.
    """
    checker = _Checker(program, graph)
    for arena in program.arenas:
        checker.shadows[arena.memory] = np.full(arena.size_bytes, NOTHING)
    for i, name in enumerate(graph.inputs):
        checker.give_numbers(name)
        checker.shadows[f"input{i}"] = checker.numbers[name].copy()
    for i, name in enumerate(graph.outputs):
        checker.shadows[f"output{i}"] = np.full(graph.tensors[name].size_bytes, NOTHING)
    _run(checker, selection, target)
    for i, name in enumerate(graph.outputs):
        got, wanted = checker.shadows[f"output{i}"], checker.numbers.get(name)
        if wanted is None:
            checker.complain("program", f"output {name!r} is never computed")
        elif not np.array_equal(got, wanted):
            at = int(np.flatnonzero(got != wanted)[0])
            checker.complain(
                "program",
                f"at the end byte {at} of output {name!r} holds {checker.name_of(int(got[at]))}",
            )
    if checker.problems:
        raise PlanError(*checker.problems[:20])


def _run(checker: _Checker, selection: Sequence[Variant | None], target: Target) -> None:
    """Execute the layers; nodes without a layer happen as soon as their inputs exist."""
    by_output = {node.outputs: i for i, node in enumerate(checker.graph.nodes)}
    of_layer = [by_output.get(tuple(a.tensor for a in y.outputs)) for y in checker.program.layers]
    silent = [n for i, n in enumerate(checker.graph.nodes) if i not in set(of_layer)]
    for layer, index in zip(checker.program.layers, of_layer, strict=True):
        if index is None:
            checker.complain(f"layer {layer.symbol}", "computes what no node of the graph does")
            continue
        silent = _look_at_ready(checker, silent)
        variant = selection[index]
        node = checker.graph.nodes[index]
        if variant is not None:
            asked = variant.scratch_bytes(node, checker.graph, target)
            given = layer.scratch.size_bytes if layer.scratch else 0
            if given < asked:
                checker.complain(
                    f"layer {layer.symbol}", f"{given} bytes of scratch, {asked} are needed"
                )
        checker.layer(layer, node)
    for node in _look_at_ready(checker, silent):
        checker.complain(node.name, "is never computed")
    if len(set(of_layer)) != len(of_layer):
        checker.complain("program", "a node is computed twice")


def _look_at_ready(checker: _Checker, silent: list[Node]) -> list[Node]:
    waiting = []
    for node in silent:
        tensors = checker.graph.tensors
        names = [name for name in node.inputs if name and tensors[name].data is None]
        if all(name in checker.numbers for name in names):
            checker.look(node)
        else:
            waiting.append(node)
    return waiting


def _meet(a: Argument, b: Argument) -> bool:
    """Whether two pointers cover a byte in common."""
    return (
        a.memory == b.memory
        and a.offset < b.offset + b.size_bytes
        and b.offset < a.offset + a.size_bytes
    )


def _allowed(x: Argument, y: Argument, exact: bool, lead_bytes: int) -> bool:
    return y.offset == x.offset if exact else y.offset <= x.offset - lead_bytes
