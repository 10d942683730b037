# SPDX-License-Identifier: MIT
"""Runs the C of one layer without compiling it: the text that `Variant.emit` wrote is interpreted.

A layer's body is a few `static const` parameter blocks and calls of kernels, so its arguments can
be read from it and passed at run time to kernels that were compiled once, with external linkage.
Thousands of random layers then cost one compilation per compiler and core. `kernel_emitted.py`
compiles layers whole.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

import runtime_c
from codegen.ir import Array, Graph, Node
from codegen.kernels import REFERENCES, select
from codegen.kernels.base import Call, Variant
from codegen.target import Target, target

REFERENCE_HEADERS = tuple(sorted({f"{variant.name}.h" for variant in REFERENCES}))


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a kernel: a number, or a place in one of the call's buffers (-1 for NULL)."""

    kind: Literal["int", "float", "pointer"]
    value: float = 0
    buffer: int = -1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class KernelCall:
    """One C call: the function and its arguments."""

    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Calls in order over buffers of bytes; `writable` tells which ones come back."""

    calls: tuple[KernelCall, ...]
    buffers: tuple[bytes, ...]
    writable: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """What the kernel headers declare."""

    parameters: Mapping[str, tuple[str, ...]]
    structs: Mapping[str, tuple[tuple[str, str, int], ...]]
    enums: Mapping[str, int]


@cache
def _declarations() -> _Header:
    names = [path.name for path in sorted(runtime_c.kernel_dir().glob("*.h"))]
    text = "\n".join(runtime_c.read_header(name) for name in names)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    parameters = {
        match[1]: tuple(
            "pointer" if "*" in part else "float" if part.split()[0] == "float" else "int"
            for part in match[2].split(",")
        )
        for match in re.finditer(r"NN_KERNEL void (nn_\w+)\(([^)]*)\)", text)
    }
    structs: dict[str, tuple[tuple[str, str, int], ...]] = {}
    for match in re.finditer(r"typedef struct \{([^}]*)\} (nn_\w+);", text):
        fields: list[tuple[str, str, int]] = []
        for line in match[1].split(";"):
            if line.strip():
                ctype, rest = line.split(maxsplit=1)
                for field in rest.split(","):
                    name, _, count = field.strip().rstrip("]").partition("[")
                    fields.append((name, ctype, int(count or 1)))
        structs[match[2]] = tuple(fields)
    enums = {
        item[1]: int(item[2])
        for match in re.finditer(r"enum \{([^}]*)\}", text)
        for item in re.finditer(r"(\w+)\s*=\s*(-?\w+)", match[1])
    }
    return _Header(parameters, structs, enums)


def _number(text: str, kind: str) -> float:
    text = text.strip().strip("()")
    infinity = re.fullmatch(r"(-?)__builtin_inff\(?", text)
    if infinity:
        return -np.inf if infinity[1] else np.inf
    if kind == "float":
        return float.fromhex(text.removesuffix("f"))
    enums = _declarations().enums
    return enums[text] if text in enums else int(text, 0)


_SCALARS = {"int32_t": "<i", "uint32_t": "<I", "float": "<f", "int16_t": "<h", "uint16_t": "<H",
            "int8_t": "<b", "uint8_t": "<B"}  # fmt: skip


def _pack(ctype: str, initializer: str) -> bytes:
    """The bytes of a parameter block; the layout has no padding that C would not have."""
    given = {
        match[1]: [v for v in match[2].strip("{} \n").split(",") if v.strip()]
        for match in re.finditer(r"\.(\w+)\s*=\s*(\{[^}]*\}|[^,{}]+)", initializer)
    }
    data = b""
    for name, scalar, count in _declarations().structs[ctype]:
        code = _SCALARS[scalar]
        data += b"\0" * (-len(data) % struct.calcsize(code))
        values = [_number(v, "float" if scalar == "float" else "int") for v in given.pop(name, [])]
        data += b"".join(struct.pack(code, v) for v in values + [0] * (count - len(values)))
    if given:
        raise ValueError(f"{ctype} has no fields {sorted(given)}")
    return data


def _split(arguments: str) -> list[str]:
    """Split at the commas outside parentheses."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def task(
    call: Call,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    scratch_bytes: int,
    in_place: int | None = None,
) -> Task:
    """The calls in an emitted body. `outputs` give item types and what is in memory before.

    With `in_place`, output 0 is written over that input, and its buffer then holds it.
    """
    buffers: list[bytes] = []
    items: dict[str, tuple[int, int]] = {}
    for letter, arrays in (("x", inputs), ("y", outputs)):
        for index, array in enumerate(arrays):
            items[f"{letter}{index}"] = (len(buffers), array.itemsize)
            buffers.append(np.ascontiguousarray(array).tobytes())
    first_constant = len(buffers)
    if in_place is not None:
        items["y0"] = (in_place, outputs[0].itemsize)
    for constant in call.constants:
        dtype = np.dtype(constant.ctype.removesuffix("_t").replace("float", "float32"))
        items[f"@{constant.suffix}@"] = (len(buffers), dtype.itemsize)
        buffers.append(np.ascontiguousarray(constant.data, dtype).tobytes())
    blocks = r"static const (\w+) (\w+) = \{((?:[^{};]|\{[^{}]*\})*)\};"
    for match in re.finditer(blocks, call.body):
        items[f"&{match[2]}"] = (len(buffers), 1)
        buffers.append(_pack(match[1], match[3]))
    constants_end = len(buffers)
    if scratch_bytes:
        items["scratch"] = (len(buffers), 1)
        buffers.append(b"\xa5" * scratch_bytes)
    calls = []
    for statement in re.sub(blocks, "", call.body).split(";"):
        if not statement.strip():
            continue
        match = re.fullmatch(r"\s*(nn_\w+)\((.*)\)\s*", statement, re.DOTALL)
        if match is None:
            raise ValueError(f"not a plain call of a kernel: {statement}")
        kinds = _declarations().parameters[match[1]]
        arguments = [_argument(t, k, items) for t, k in zip(_split(match[2]), kinds, strict=True)]
        calls.append(KernelCall(match[1], tuple(arguments)))
    writable = tuple(
        len(inputs) <= i < first_constant or i >= constants_end or i == in_place
        for i in range(len(buffers))
    )
    return Task(tuple(calls), tuple(buffers), writable)


def _argument(text: str, kind: str, items: Mapping[str, tuple[int, int]]) -> Argument:
    if kind == "int":
        return Argument("int", _number(text, kind))
    if kind == "float":
        return Argument("float", _number(text, kind))
    if text == "NULL":
        return Argument("pointer")
    name, _, offset = text.partition("+")
    buffer, item_bytes = items[name.strip()]
    return Argument("pointer", 0, buffer, int(offset or 0) * item_bytes)


def variant_of(node: Node, graph: Graph, core: str = "m4") -> tuple[Variant, Target]:
    """The reference that runs this node."""
    goal = target(core, reference_kernels=True)  # type: ignore[arg-type]
    return select(node, graph, goal), goal


def node_task(
    node: Node,
    graph: Graph,
    values: Mapping[str, Array],
    variant: Variant,
    goal: Target,
    in_place: int | None = None,
) -> Task:
    """The task of a node on given activations; outputs start as 0xA5 bytes."""
    names = [n for n in node.inputs if n and graph.tensors[n].data is None]
    outputs = [
        np.frombuffer(b"\xa5" * graph.tensors[n].size_bytes, graph.tensors[n].dtype)
        for n in node.outputs
    ]
    call = variant.emit(node, graph, goal)
    scratch_bytes = variant.scratch_bytes(node, graph, goal)
    return task(call, [values[n] for n in names], outputs, scratch_bytes, in_place)


def node_outputs(node: Node, graph: Graph, inputs: int, buffers: Sequence[bytes]) -> list[Array]:
    """The output tensors in the buffers of a task that has run."""
    return [
        np.frombuffer(buffers[inputs + i], graph.tensors[n].dtype).reshape(graph.tensors[n].shape)
        for i, n in enumerate(node.outputs)
    ]
