# SPDX-License-Identifier: MIT
"""Planted memory faults, and who catches them: `python benchmarks/mutants.py`.

Each mutant is a right program with one fault: a planner's (a tensor in a wrong place, a lifetime
too short, an alias that the kernel cannot stand, a layer left out) or a kernel's (a byte read or
written beside its own). The static check sees the planner's; the sanitizer sees them all. Some
live in an arena of two memories.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from codegen import Compiled, compile_lowered
from codegen.build import in_banks
from codegen.emit import Program, render
from codegen.emit.program import Arena, Argument, Layer
from codegen.errors import PlanError
from codegen.ir import Graph, Node, Tensor
from codegen.ops import BinaryS8, ConvS8, LutS8, MaxPool, Requant, Window
from codegen.planner import Bank
from codegen.planner.check import check
from codegen.target import target
from simharness import execution, pipeline
from simharness.errors import FaultError

CORE, BOARD = "m4", "STM32F407"
BUDGET = 100_000_000
CHANNELS = 8
SIZE = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the two checks say of a mutant; `visible`: the fault shows in the program's calls."""

    name: str
    visible: bool
    static: bool
    dynamic: bool
    words: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    visible: bool
    change: Callable[[Program], Program]


def network() -> Graph:
    """A small residual network: two branches, a pool, an in-place table, scratch."""
    rng = np.random.default_rng(3)
    shape = (1, SIZE, SIZE, CHANNELS)
    half = (1, SIZE // 2, SIZE // 2, CHANNELS)
    tensors = {n: Tensor(n, shape, "int8") for n in ("x", "a", "b", "c", "s", "t")}
    tensors |= {n: Tensor(n, half, "int8") for n in ("p", "y")}
    nodes = []

    def conv(name: str, x: str, y: str) -> None:
        w = rng.integers(-128, 128, (CHANNELS, 3, 3, CHANNELS)).astype(np.int8)
        b = rng.integers(-999, 999, CHANNELS).astype(np.int32)
        scale = rng.uniform(5e-4, 2e-3, CHANNELS).astype(np.float32)
        tensors[f"{name}_w"] = Tensor(f"{name}_w", w.shape, "int8", w)
        tensors[f"{name}_b"] = Tensor(f"{name}_b", b.shape, "int32", b)
        op = ConvS8(Window((3, 3), pads=(1, 1, 1, 1)), 1, Requant(scale, 1, -2))
        nodes.append(Node(name, op, (x, f"{name}_w", f"{name}_b"), (y,)))

    conv("first", "x", "a")
    conv("left", "a", "b")
    conv("right", "b", "c")
    sum_ = BinaryS8("add", 0.02, 1, 0.03, -2, 0.04, 3)
    nodes.append(Node("sum", sum_, ("a", "c"), ("s",)))
    table = rng.permutation(np.arange(-128, 128)).astype(np.int8)
    tensors["table"] = Tensor("table", (256,), "int8", table)
    nodes.append(Node("lookup", LutS8("test"), ("s", "table"), ("t",)))
    nodes.append(Node("pool", MaxPool(Window((2, 2), (2, 2))), ("t",), ("p",)))
    nodes.append(Node("last", LutS8("test"), ("p", "table"), ("y",)))
    return Graph("mutants", tensors, tuple(nodes), ("x",), ("y",))


def _map(program: Program, change: Callable[[Layer, Argument], Argument]) -> Program:
    def layer(old: Layer) -> Layer:
        return replace(
            old,
            inputs=tuple(change(old, a) for a in old.inputs),
            outputs=tuple(change(old, a) for a in old.outputs),
            scratch=change(old, old.scratch) if old.scratch else None,
        )

    return replace(program, layers=tuple(layer(old) for old in program.layers))


def _at(tensor: str, offset: int) -> Callable[[Program], Program]:
    """The whole tensor lies at `offset`: a planner's mistake, everywhere the same."""

    def change(program: Program) -> Program:
        moved = _map(
            program,
            lambda _, a: replace(a, offset=offset) if _is(a, tensor) else a,
        )
        ends = [a.offset + a.size_bytes for y in moved.layers for a in y.arguments if _own(a)]
        return replace(moved, arenas=(Arena("arena", max(program.arena_bytes, *ends)),))

    return change


def _own(argument: Argument) -> bool:
    return argument.memory == "arena"


def _is(argument: Argument, tensor: str) -> bool:
    return _own(argument) and argument.tensor == tensor


def _pointer(node: str, parameter: str, by: int) -> Callable[[Program], Program]:
    """One pointer of one call is off by some bytes."""

    def change(program: Program) -> Program:
        return _map(
            program,
            lambda y, a: (
                replace(a, offset=a.offset + by) if (y.node, a.name) == (node, parameter) else a
            ),
        )

    return change


def _short_scratch(node: str, by: int) -> Callable[[Program], Program]:
    def change(program: Program) -> Program:
        return _map(
            program,
            lambda y, a: (
                replace(a, size_bytes=a.size_bytes - by) if y.node == node and a is y.scratch else a
            ),
        )

    return change


def _short_arena(by: int) -> Callable[[Program], Program]:
    return lambda program: replace(program, arenas=(Arena("arena", program.arena_bytes - by),))


def _body(node: str, statement: str, *, first: bool = False) -> Callable[[Program], Program]:
    """The kernel does something more, before or after its work."""

    def change(program: Program) -> Program:
        def layer(y: Layer) -> Layer:
            if y.node != node:
                return y
            text = f"{statement}\n{y.body}" if first else f"{y.body}\n{statement}"
            return replace(y, body=text)

        return replace(program, layers=tuple(layer(y) for y in program.layers))

    return change


def _without(node: str) -> Callable[[Program], Program]:
    """A layer is never called: what it should have written stays uninitialized."""
    return lambda p: replace(p, layers=tuple(y for y in p.layers if y.node != node))


def _empty(node: str) -> Callable[[Program], Program]:
    """A kernel that does nothing."""

    def change(program: Program) -> Program:
        return replace(
            program,
            layers=tuple(
                replace(y, body="(void)x0;\n(void)y0;" + ("\n(void)scratch;" if y.scratch else ""))
                if y.node == node
                else y
                for y in program.layers
            ),
        )

    return change


def _read(pointer: str, index: int) -> str:
    return f"{{ const volatile int8_t *look = (const int8_t *){pointer}; (void)look[{index}]; }}"


def _write(pointer: str, index: int) -> str:
    return f"{{ volatile int8_t *spot = (int8_t *){pointer}; spot[{index}] = 1; }}"


def mutants(compiled: Compiled) -> Iterator[Mutant]:
    """Every mutant of the network's program."""
    program = compiled.program
    places = {a.tensor: a for y in program.layers for a in y.outputs if _own(a)}
    whole = SIZE * SIZE * CHANNELS
    scratch = {y.node: y.scratch for y in program.layers if y.scratch}
    for name, other in (("b", "a"), ("c", "a"), ("c", "b"), ("b", "c")):
        if places[name].offset != places[other].offset:
            at = places[other].offset
            yield Mutant(f"{name} lies on {other}", True, _at(name, at))
            yield Mutant(f"{name} overlaps {other} by 4 bytes", True, _at(name, at + whole - 4))
            yield Mutant(
                f"{name} one row too near to {other}", True, _at(name, at + SIZE * CHANNELS)
            )
    for name in ("b", "c"):
        yield Mutant(f"lifetime of a one step short: {name} takes its place", True,
                     _at(name, places["a"].offset))  # fmt: skip
        yield Mutant(f"wrong alias: {name} in place of its convolution's input", True,
                     _at(name, places["a" if name == "b" else "b"].offset))  # fmt: skip
    for node in ("left", "right"):
        if node in scratch:
            for by in (1, 4):
                yield Mutant(f"scratch of {node} {by} short", True, _short_scratch(node, by))
            yield Mutant(f"scratch of {node} on its input", True, _onto(node, "x0"))
            yield Mutant(f"scratch of {node} on its output", True, _onto(node, "y0"))
    yield Mutant("arena 4 bytes short", True, _short_arena(4))
    for node in ("left", "sum", "lookup", "pool"):
        yield Mutant(f"{node}: layer never called", True, _without(node))
        yield Mutant(f"{node}: kernel writes nothing", False, _empty(node))
    for node, parameter in (("left", "x0"), ("right", "y0"), ("sum", "x1"), ("pool", "x0")):
        for by in (4, -4):
            yield Mutant(f"{node}: pointer {parameter} off by {by}", True,
                         _pointer(node, parameter, by))  # fmt: skip
    for node, size in (("left", whole), ("pool", whole), ("sum", whole)):
        yield Mutant(f"{node}: kernel reads one past its input", False,
                     _body(node, _read("x0", size), first=True))  # fmt: skip
        yield Mutant(f"{node}: kernel reads one before its input", False,
                     _body(node, _read("x0", -1), first=True))  # fmt: skip
    for node, size in (("left", whole), ("sum", whole), ("pool", whole // 4)):
        yield Mutant(f"{node}: kernel writes one past its output", False,
                     _body(node, _write("y0", size)))  # fmt: skip
        yield Mutant(f"{node}: kernel writes one before its output", False,
                     _body(node, _write("y0", -1)))  # fmt: skip
    for node, asked in scratch.items():
        yield Mutant(f"{node}: kernel reads scratch that it never wrote", False,
                     _body(node, _read("scratch", 0), first=True))  # fmt: skip
        yield Mutant(f"{node}: kernel writes past its scratch", False,
                     _body(node, _write("scratch", asked.size_bytes)))  # fmt: skip
    yield Mutant("first: kernel writes to the caller's input", False,
                 _body("first", _write("x0", 0)))  # fmt: skip


def in_two_memories(compiled: Compiled) -> Iterator[Mutant]:
    """Mutants of the network's program with its arena in two memories."""
    program = compiled.program
    places = {a.tensor: a for y in program.layers for a in y.outputs if _piece(a)}
    for name, place in places.items():
        other = next(a.memory for a in program.arenas if a.memory != place.memory)
        for memory in (place.memory, other):
            alive = next(
                (b for b in places.values() if b.memory == memory and _outlives(program, b, place)),
                None,
            )
            if alive is not None:
                where = "its own" if memory == place.memory else "the other"
                yield Mutant(f"{name} lies on {alive.tensor} in {where} memory", True,
                             _moved(name, memory, alive.offset))  # fmt: skip
    for y in program.layers:
        for a in (x for x in (*y.inputs, *y.outputs) if _piece(x)):
            other = next(m.memory for m in program.arenas if m.memory != a.memory)
            yield Mutant(f"{y.node}: {a.name} in the wrong memory", True,
                         _elsewhere(y.node, a.name, other))  # fmt: skip
    for number, arena in enumerate(program.arenas):
        yield Mutant(f"memory {number} of the arena 4 bytes short", True, _short_piece(number))
        last = next(y for y in program.layers if any(_ends(a, arena) for a in y.arguments))
        pointer = next(a for a in last.arguments if _ends(a, arena))
        yield Mutant(f"{last.node}: kernel writes past the end of memory {number}", False,
                     _body(last.node, _write(pointer.name, pointer.size_bytes)))  # fmt: skip


def _piece(argument: Argument) -> bool:
    return argument.memory.startswith("arena_")


def _ends(argument: Argument, arena: Arena) -> bool:
    end = argument.offset + argument.size_bytes
    return argument.memory == arena.memory and -(-end // 4) * 4 >= arena.size_bytes


def _outlives(program: Program, old: Argument, young: Argument) -> bool:
    """Whether `old` is there before `young` is born and is read after that."""
    written = {a.tensor: k for k, y in enumerate(program.layers) for a in y.outputs}
    read = {a.tensor: k for k, y in enumerate(program.layers) for a in y.inputs}
    return written[old.tensor] < written[young.tensor] < read.get(old.tensor, 0)


def _moved(tensor: str, memory: str, offset: int) -> Callable[[Program], Program]:
    """The whole tensor lies there; the arena is as large as that needs."""

    def change(program: Program) -> Program:
        moved = _map(
            program,
            lambda _, a: (
                replace(a, memory=memory, offset=offset) if _piece(a) and a.tensor == tensor else a
            ),
        )
        arenas = []
        for arena in program.arenas:
            ends = [
                a.offset + a.size_bytes
                for y in moved.layers
                for a in y.arguments
                if a.memory == arena.memory
            ]
            arenas.append(replace(arena, size_bytes=max(arena.size_bytes, *ends, 0)))
        return replace(moved, arenas=tuple(arenas))

    return change


def _elsewhere(node: str, parameter: str, memory: str) -> Callable[[Program], Program]:
    """One pointer of one call names the other memory."""
    return lambda program: _map(
        program,
        lambda y, a: replace(a, memory=memory) if (y.node, a.name) == (node, parameter) else a,
    )


def _short_piece(number: int) -> Callable[[Program], Program]:
    def change(program: Program) -> Program:
        arenas = [
            replace(a, size_bytes=a.size_bytes - 4 * (k == number))
            for k, a in enumerate(program.arenas)
        ]
        return replace(program, arenas=tuple(arenas))

    return change


def _onto(node: str, parameter: str) -> Callable[[Program], Program]:
    def change(program: Program) -> Program:
        def layer(y: Layer) -> Layer:
            if y.node != node or y.scratch is None:
                return y
            under = next(a for a in (*y.inputs, *y.outputs) if a.name == parameter)
            return replace(y, scratch=replace(y.scratch, offset=under.offset))

        return replace(program, layers=tuple(layer(y) for y in program.layers))

    return change


def judge(compiled: Compiled, mutant: Mutant) -> Verdict:
    """Ask both checks."""
    program = mutant.change(compiled.program)
    broken = replace(compiled, program=program, sources=render(program))
    try:
        check(program, compiled.graph, compiled.selection, compiled.target)
        static, words = False, ""
    except PlanError as error:
        static, words = True, str(error).splitlines()[0]
    dynamic, seen = _watched(broken)
    return Verdict(mutant.name, mutant.visible, static, dynamic, seen or words)


def _watched(compiled: Compiled) -> tuple[bool, str]:
    machine = pipeline.machine_for(CORE, BOARD, None)
    built = pipeline.link(compiled, machine, "auto")
    size = SIZE * SIZE * CHANNELS
    values = (np.random.default_rng(0).integers(0, 256, size).astype(np.uint8).tobytes(),)
    try:
        found = execution.watched(compiled, built, machine, "auto", values, budget=BUDGET)
    except FaultError as error:
        return True, str(error)
    if found.ok:
        return False, ""
    first = found.violations[0]
    return True, f"{first.layer} {first.what}: {first.tensor} byte {first.offset}"


def verdicts() -> list[Verdict]:
    """All of them. The right program itself must pass both checks."""
    whole = compile_lowered(network(), target(CORE), name="mutants")
    room = whole.plan.arena_bytes * 2 // 3
    split = in_banks(whole, [Bank("ccm", room), Bank("sram", room)])
    found = []
    for compiled, planted in ((whole, mutants(whole)), (split, in_two_memories(split))):
        dynamic, words = _watched(compiled)
        if dynamic:
            raise AssertionError(f"the right program is convicted: {words}")
        changed = (m for m in planted if m.change(compiled.program) != compiled.program)
        found += [judge(compiled, m) for m in changed]
    return found


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = verdicts()
    print(f"{'mutant':55s} static  dynamic  first finding")
    for v in found:
        static = "caught" if v.static else "MISSED" if v.visible else "-"
        print(f"{v.name:55s} {static:7s} {'caught' if v.dynamic else 'MISSED':8s} {v.words[:90]}")
    caught = sum(v.dynamic for v in found)
    visible = [v for v in found if v.visible]
    convicted = sum(v.static for v in visible)
    print(f"dynamic: {caught} of {len(found)}")
    print(f"static: {convicted} of {len(visible)} that show in the program")
    return int(caught != len(found) or not all(v.static for v in visible))


if __name__ == "__main__":
    sys.exit(main())
