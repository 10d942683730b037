# SPDX-License-Identifier: MIT
"""Runs a layer's kernel on an emulated core, checks it, and puts its cost beside other engines'.

Your own kernel can take the place of ours: a C file that defines `user_<op>_<type>` with the
parameters of the plain C kernel `nn_<op>_<type>`, for example `user_conv2d_s8` with those of
`nn_conv2d_s8`: `signature` writes them out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from codegen import oracle
from codegen.ir import Array
from codegen.kernels import select
from codegen.kernels.base import Call
from codegen.kernels.c_text import c_float
from codegen.target import CoreName, Optimize, target
from cycle_models.core import load_core
from cycle_models.timing import Interval, time_profiles
from runtime_c import read_header
from simharness.bench.layers import LAYERS, BenchLayer
from simharness.machine import Machine

_CTYPES = {"int8": "int8_t", "float32": "float"}
_BUDGET = 20_000_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kernel cost on one layer. Code includes every function that ran; weights do not.

    `difference` is the largest one from the oracle: in LSB, or relative to the largest output.
    """

    layer: str
    what: str
    kernel: str
    toolchain: str
    macs: int
    instructions: int
    cycles: Interval
    code_bytes: int
    scratch_bytes: int
    stack_bytes: int | None
    difference: float


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A published figure of another engine, with its version."""

    layer: str
    core: str
    peer: str
    version: str
    variant: str
    optimize: str
    instructions: int
    text_bytes: int | None
    scratch_bytes: int | None


def measure(
    layer: BenchLayer,
    core: CoreName,
    *,
    optimize: Optimize = "speed",
    toolchain: str = "auto",
    user_source: str | None = None,
) -> Measured:
    """Count one run of the kernel that the generator selects, or of the user's.

    Raises BuildError, FaultError, ToolMissingError, and UnsupportedError when no kernel takes it.
    """
    goal = target(core, optimize=optimize, reference_kernels=user_source is not None)
    node, graph = layer.node, layer.graph
    variant = select(node, graph, goal)
    call = variant.emit(node, graph, goal)
    scratch_bytes = variant.scratch_bytes(node, graph, goal)
    kernel = variant.name
    if user_source is not None:
        kernel = kernel.replace("nn_", "user_", 1)
    source = _source(layer, call, scratch_bytes, user_source, optimize)
    machine = Machine(
        core, {"layer.c": source}, toolchain=toolchain, optimize=optimize, budget=_BUDGET
    )
    y = graph.tensors["y"]
    output: Array = np.zeros(y.shape, y.dtype)
    scratch = [np.zeros(scratch_bytes, np.uint8)] if scratch_bytes else []
    inputs = [np.array(value) for value in layer.values.values()]
    count = machine.count("layer", *inputs, output, *scratch, returns=None)
    wanted = oracle.run(graph, layer.values)["y"].astype(np.float64)
    difference = float(np.abs(output.astype(np.float64) - wanted).max())
    if y.dtype == "float32":
        difference /= float(np.abs(wanted).max())
    compiler = machine.image.toolchain
    assert compiler is not None  # as it was built here
    timing = time_profiles((count.profile,), machine.image.code, load_core(core))
    ran = {block.address for block in count.profile.blocks}
    code_bytes = sum(
        s.size_bytes
        for s in machine.image.symbols.values()
        if s.kind == "func" and any(s.address <= a < s.address + s.size_bytes for a in ran)
    )
    return Measured(
        layer.name, layer.what, kernel, compiler.name, layer.macs, count.instructions,
        timing.total.cycles, code_bytes, scratch_bytes, count.stack_bytes, difference,
    )  # fmt: skip


def signature(layer: BenchLayer, core: CoreName) -> str:
    """What a user's kernel for this layer must look like: documentation and prototype, in C."""
    kernel = select(layer.node, layer.graph, target(core, reference_kernels=True)).name
    text = read_header(f"{kernel}.h")
    prototype = re.search(rf"NN_KERNEL (void {kernel}\([^)]*\))", text)
    words = re.search(r"/\* SPDX[^\n]*\n \*\n(.*?)\*/", text, re.DOTALL)
    assert prototype is not None and words is not None
    mine = " ".join(prototype[1].split()).replace("nn_", "user_", 1)
    return f"/*\n{words[1].rstrip()}\n */\n{mine};\n"


def _source(
    layer: BenchLayer, call: Call, scratch_bytes: int, user_source: str | None, optimize: Optimize
) -> str:
    """A translation unit with the function `layer(x0, ..., y0, scratch)`."""
    defines = {*call.defines, *(("NN_SHARED",) if optimize == "size" else ())}
    lines = [*(f"#define {d}" for d in sorted(defines))]
    lines += [f'#include "{name}"' for name in call.headers]
    body = call.body
    if user_source is not None:
        lines.append(user_source)
        for name in call.headers:
            body = body.replace(f"{name.removesuffix('.h')}(", f"user_{name[3:-2]}(")
    for constant in call.constants:
        values = np.asarray(constant.data).ravel().tolist()
        text = ", ".join(c_float(v) if constant.ctype == "float" else str(v) for v in values)
        name = f"layer_{constant.suffix}"
        align = f"__attribute__((aligned({constant.align})))"
        text = text.replace("-2147483648", "(-2147483647 - 1)")
        lines.append(f"static const {constant.ctype} {name}[] {align} = {{{text}}};")
        body = body.replace(f"@{constant.suffix}@", name)
    ctype = _CTYPES[layer.graph.tensors["y"].dtype]
    parameters = [f"const {ctype} *x{i}" for i in range(len(layer.values))]
    parameters += [f"{ctype} *y0", *(["uint8_t *scratch"] if scratch_bytes else [])]
    signature = f"void layer({', '.join(parameters)})"
    return "\n".join([*lines, f"{signature};", signature, "{", body, "}", ""])


@cache
def peers() -> tuple[PeerRow, ...]:
    """The fewest instructions that each engine was seen to need; see the data file's columns."""
    rows = csv.DictReader(_data("peers.csv"))
    return tuple(
        PeerRow(
            r["layer"], r["core"], r["peer"], r["version"], r["variant"], r["optimize"],
            int(r["instructions"]), _number(r["text_bytes"]), _number(r["scratch_bytes"]),
        )
        for r in rows
    )  # fmt: skip


@cache
def targets() -> Mapping[tuple[str, str], int]:
    """Instructions that we set ourselves, by layer and core."""
    return {
        (r["layer"], r["core"]): int(r["instructions"])
        for r in csv.DictReader(_data("targets.csv"))
    }


def _data(name: str) -> list[str]:
    return files("simharness.bench").joinpath(name).read_text(encoding="utf-8").splitlines()


def _number(text: str) -> int | None:
    return int(float(text)) if text else None


def best_peer(layer: str, core: str) -> PeerRow | None:
    """The peer with the fewest instructions on a layer."""
    rows = [r for r in peers() if r.layer == layer and r.core == core]
    return min(rows, key=lambda r: r.instructions, default=None)


def table(measured: Sequence[Measured], core: str) -> list[dict[str, object]]:
    """One row per layer: ours, the best peer, the target."""
    rows: list[dict[str, object]] = []
    for m in measured:
        peer = best_peer(m.layer, core)
        rows.append(
            {
                "layer": m.layer,
                "what": m.what,
                "kernel": m.kernel,
                "toolchain": m.toolchain,
                "instructions": m.instructions,
                "per_mac": round(m.instructions / m.macs, 3) if m.macs else None,
                "cycles": round(m.cycles.mid),
                "code_bytes": m.code_bytes,
                "scratch_bytes": m.scratch_bytes,
                "difference": m.difference,
                "peer": f"{peer.peer} {peer.version}" if peer else None,
                "peer_instructions": peer.instructions if peer else None,
                "target": targets().get((m.layer, core)),
            }
        )
    return rows


def run(
    core: CoreName,
    names: Sequence[str] = (),
    *,
    optimize: Optimize = "speed",
    toolchain: str = "auto",
    user_source: str | None = None,
) -> list[Measured]:
    """Measure the layers of these names, all by default."""
    return [
        measure(
            LAYERS[name](name), core, optimize=optimize, toolchain=toolchain,
            user_source=user_source,
        )
        for name in names or LAYERS
    ]  # fmt: skip
