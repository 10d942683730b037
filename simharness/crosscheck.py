# SPDX-License-Identifier: MIT
"""The same network on every emulator: outputs equal to the byte, instruction counts equal.

    found = crosscheck("model.onnx", "m4")
    found.ok, found.disagreements

One emulator can be wrong; independent ones that agree make a number believable. The first engine
that is installed is what the others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codegen import Compiled
from simharness import engines, execution, pipeline
from simharness.engines.base import Engine, EngineInfo, Trace
from simharness.engines.decode import executed
from simharness.errors import ToolMissingError, UsageError, translated
from simharness.image import Image
from simharness.layer_sums import first_difference, summed
from simharness.options import BUDGET, Progress, silent
from simharness.pipeline import Machine, Wishes

ENGINES = ("unicorn", "qemu", "renode")
"""Those that `crosscheck` asks unless told otherwise: the ones that count instructions."""

OFFSETS: Mapping[str, int] = {}
"""Instructions that an engine counts beyond those between the call of `sim_invoke` and its return.

The one place for such known differences; there is none at present, because every engine counts
from the same address to the same address.
"""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one engine found. `layers` are instructions by layer name, "(run)" last."""

    engine: EngineInfo
    outputs: tuple[tuple[bytes, ...], ...]
    layers: Mapping[str, int]
    instructions: int | None


@dataclass(frozen=True, slots=True)
class Crosscheck:
    """All opinions on one network on one core, and every point where two differ.

    `absent` says which engines could not be asked, and why.
    """

    model: str
    core: str
    samples: int
    opinions: tuple[Opinion, ...]
    disagreements: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.disagreements


def crosscheck(
    model: str | Path,
    core: str | None = None,
    *,
    board: str | Path | None = None,
    names: Sequence[str] = (),
    toolchain: str = "auto",
    samples: int = 2,
    seed: int = 0,
    budget: int = BUDGET,
    wanted: Wishes = Wishes(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Crosscheck:
    """Run `model` on all `names` (all installed ones by default) and compare.

    Where outputs differ, a variant that takes checksums is run to find the first layer that does.
    Raises ToolMissingError when a named engine is missing or only one engine is installed,
    UsageError, BuildError, FaultError.
    """
    with translated():
        present, absent = _engines(names)
        machine = pipeline.machine_for(core, board, None)
        path, given = pipeline.model_file(model)
        progress("generating C")
        compiled = pipeline.generate(path, machine.core, wanted)
        inputs = [sample(compiled, seed + n) for n in range(samples)]
        opinions = []
        for emulator in present:
            progress(f"emulating on {emulator.name}")
            opinions.append(_opinion(emulator, compiled, machine, toolchain, inputs, budget))
        differing = []
        for emulator, other in zip(present[1:], opinions[1:], strict=True):
            differing += differences(opinions[0], other)
            if other.outputs != opinions[0].outputs:
                progress(f"looking for the layer where {emulator.name} differs")
                pair = (present[0], emulator)
                differing += _located(pair, compiled, machine, toolchain, inputs, budget)
    return Crosscheck(
        given.path, machine.core, samples, tuple(opinions), tuple(differing), tuple(absent)
    )


def differences(first: Opinion, other: Opinion) -> list[str]:
    """Where two opinions differ, in words: outputs by place, counts by layer."""
    pair = f"{first.engine.name} and {other.engine.name}"
    found = []
    for sample, (one, two) in enumerate(zip(first.outputs, other.outputs, strict=True)):
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            if a != b:
                at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
                found.append(
                    f"{pair}: output {number} of sample {sample} differs from byte {at} on"
                )
    if first.instructions is None or other.instructions is None:
        return found
    for layer in dict.fromkeys((*first.layers, *other.layers)):
        a_count, b_count = first.layers.get(layer, 0), other.layers.get(layer, 0)
        if a_count != b_count:
            found.append(f"{pair}: layer {layer} took {a_count} and {b_count} instructions")
    if first.instructions != other.instructions:
        found.append(f"{pair}: {first.instructions} and {other.instructions} instructions in all")
    return found


def _located(
    pair: tuple[Engine, Engine],
    compiled: Compiled,
    machine: Machine,
    toolchain: str,
    inputs: Sequence[tuple[bytes, ...]],
    budget: int,
) -> list[str]:
    """The first layer, of any sample, with results on which the two engines differ."""
    variant = summed(compiled)
    one, two = (
        _opinion(e, variant.compiled, machine, toolchain, inputs, budget).outputs for e in pair
    )
    names = f"{pair[0].name} and {pair[1].name}"
    for number, (ours, theirs) in enumerate(zip(one, two, strict=True)):
        if layer := first_difference(variant.layers, ours[-1], theirs[-1]):
            return [f"{names}: the first layer with other results is {layer}, on sample {number}"]
    return [
        f"{names}: every layer's results are equal where checksums are taken: it is not the layers"
    ]


def opinion(trace: Trace, image: Image) -> Opinion:
    """What a trace says, in terms that do not depend on how the engine cuts blocks."""
    layers = trace.layer_instructions or {
        p.name: executed((p,), image.code) for p in trace.profiles
    }
    count = trace.instructions
    if count is not None:
        count -= OFFSETS.get(trace.engine.name, 0)
    return Opinion(trace.engine, trace.outputs, dict(layers), count)


def _opinion(
    emulator: Engine,
    compiled: Compiled,
    machine: Machine,
    toolchain: str,
    inputs: Sequence[tuple[bytes, ...]],
    budget: int,
) -> Opinion:
    # An engine without memories of its own takes those of the board, enlarged where need be: the
    # question is what the code computes, not whether it fits.
    built = pipeline.link(compiled, machine, toolchain)
    image = execution.image_for(emulator, compiled, machine, built, toolchain)
    return opinion(emulator.run(image, inputs, budget=budget), image)


def _engines(names: Sequence[str]) -> tuple[list[Engine], list[str]]:
    present, absent = [], []
    for name in names or [n for n in ENGINES if n in engines.names()]:
        emulator = engines.engine(name)
        lack = emulator.missing()
        if lack is None:
            present.append(emulator)
        elif names:
            raise ToolMissingError(f"engine {name}: {lack.what}; {lack.remedy}")
        else:
            absent.append(f"{name}: {lack.what}; {lack.remedy}")
    if len(names) == 1:
        raise UsageError("a crosscheck needs two engines or more")
    if len(present) < 2:
        raise ToolMissingError(f"a crosscheck needs a second engine: {'; '.join(absent)}")
    return present, absent


def sample(compiled: Compiled, seed: int) -> tuple[bytes, ...]:
    """Random values for every input of the program, of its own types."""
    rng = np.random.default_rng(seed)
    ports = []
    for port in compiled.program.inputs:
        if port.ctype == "float":
            ports.append(rng.standard_normal(port.count, dtype=np.float32).tobytes())
        else:
            ports.append(rng.bytes(port.count * _SIZES[port.ctype]))
    return tuple(ports)


_SIZES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4, "int64_t": 8, "bool": 1}
