# SPDX-License-Identifier: MIT
"""One check of a compiled model: samples, their references, and the verdict for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codegen import Compiled, oracle
from codegen.ir import Array, Graph
from codegen.ops import ConvAddS8, ConvS8, DenseS8, Dequantize, MatMulS8, View
from simharness.check.compare import CheckResult, compare
from simharness.check.divergence import first_divergence
from simharness.check.runtime import reference_name, reference_outputs
from simharness.check.samples import Sample, input_specs, load_inputs, random_inputs
from simharness.image import Image
from simharness.report.model import Check, Divergence

DEFAULT_SAMPLES = 4

BUDGET = 20_000_000_000
"""Instructions of a run that looks for the first wrong layer, unless told otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """Samples of a compiled model and what the reference makes of them, `references[i][j]`."""

    compiled: Compiled
    samples: tuple[Sample, ...]
    references: tuple[tuple[Array, ...], ...]
    reference: str

    @property
    def inputs(self) -> tuple[tuple[bytes, ...], ...]:
        """The bytes of each input of each sample, as engines take them."""
        names = self.compiled.graph.inputs
        return tuple(
            tuple(np.ascontiguousarray(sample[name]).tobytes() for name in names)
            for sample in self.samples
        )

    def compare(
        self,
        outputs: Sequence[tuple[bytes, ...]],
        image: Image | None = None,
        *,
        budget: int = BUDGET,
    ) -> Check:
        """The verdict on `outputs[i][j]`, the bytes that the program wrote for sample i.

        When it is bad and `image` is given, the first wrong sample runs once more on Unicorn, at
        most `budget` instructions, to find the first wrong layer.
        """
        rows = [self._decode(raw, r) for raw, r in zip(outputs, self.references, strict=True)]
        allowed = _allowed_lsb(self.compiled)
        pairs = [list(zip(*rows, strict=True)), list(zip(*self.references, strict=True))]
        results = [
            compare(o, r, allowed_lsb=allowed, step=step)
            for o, r, step in zip(*pairs, _steps(self.compiled.graph), strict=True)
        ]
        checked = _merged(results, self.reference, len(self.samples))
        if checked.ok or image is None:
            return checked
        number = self._first_wrong(rows, allowed)
        return replace(checked, divergence=self.locate(image, number, budget=budget))

    def _first_wrong(self, rows: Sequence[Sequence[Array]], allowed_lsb: int) -> int:
        """The first sample that is not as it should be by its own measure; else the first."""
        steps = _steps(self.compiled.graph)
        for number, (row, reference) in enumerate(zip(rows, self.references, strict=True)):
            if not all(
                compare([o], [r], allowed_lsb=allowed_lsb, step=step).ok
                for o, r, step in zip(row, reference, steps, strict=True)
            ):
                return number
        return 0

    def locate(self, image: Image, sample: int, *, budget: int = BUDGET) -> Divergence | None:
        """The first layer of the emulated `image` that differs from the oracle on a sample.

        None when no layer does: then the oracle itself is not what ONNX Runtime computes here.
        Raises UsageError for an image without layers.
        """
        from simharness.engines.unicorn import Region, intermediates

        graph = self.compiled.graph
        layers = self.compiled.program.layers
        bases = _bases(image, self.compiled.name)
        regions = {
            layer.symbol: [Region(bases[a.memory] + a.offset, a.size_bytes) for a in layer.outputs]
            for layer in layers
        }
        seen = intermediates(image, self.inputs[sample], regions, budget=budget)
        actual = {
            argument.tensor: _array(raw, graph, argument.tensor)
            for layer in layers
            for argument, raw in zip(layer.outputs, seen.get(layer.symbol, ()), strict=True)
        }
        expected = oracle.run(graph, self.samples[sample], keep_all=True)
        return first_divergence(graph, expected, actual, sample)

    def _decode(self, raw: tuple[bytes, ...], like: tuple[Array, ...]) -> list[Array]:
        return [
            np.frombuffer(part, wanted.dtype).reshape(wanted.shape)
            for part, wanted in zip(raw, like, strict=True)
        ]


def suite(
    model: str | Path,
    compiled: Compiled,
    *,
    inputs: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Suite:
    """Samples with their references: of the file `inputs`, else random ones from `seed`.

    `samples` is how many: of a file the first ones (all by default), of random ones 4 by default.
    Raises UsageError for a file of inputs that does not fit the model.
    """
    specs = input_specs(compiled.graph)
    if inputs is None:
        chosen = random_inputs(specs, DEFAULT_SAMPLES if samples is None else samples, seed)
    else:
        chosen = load_inputs(inputs, specs)[:samples]
    references = reference_outputs(model, chosen)
    return Suite(compiled, tuple(chosen), tuple(references), reference_name())


def _allowed_lsb(compiled: Compiled) -> int:
    """0 in the exact mode; in the fast one each requantizing layer may be 1 off, and it adds up."""
    if compiled.target.requant == "exact":
        return 0
    kinds = ConvS8 | ConvAddS8 | DenseS8 | MatMulS8
    return sum(isinstance(n.op, kinds) for n in compiled.graph.nodes)


def _steps(graph: Graph) -> list[float | None]:
    """For each output the scale that it was dequantized with, or None."""
    makers = {name: node for node in graph.nodes for name in node.outputs}

    def step(name: str) -> float | None:
        maker = makers.get(name)
        if maker is not None and isinstance(maker.op, View):
            return step(maker.inputs[0])
        return maker.op.scale if maker and isinstance(maker.op, Dequantize) else None

    return [step(name) for name in graph.outputs]


def _merged(results: Sequence[CheckResult], reference: str, samples: int) -> Check:
    """One verdict over all outputs of a model."""
    lsb = [r.max_lsb for r in results if r.max_lsb is not None]
    absolute = [r.max_abs for r in results if r.max_abs is not None]
    relative = [r.max_rel for r in results if r.max_rel is not None]
    return Check(
        ok=all(r.ok for r in results),
        reference=reference,
        samples=samples,
        elements=sum(r.elements for r in results),
        mismatches=sum(r.mismatches for r in results),
        max_lsb=max(lsb) if lsb else None,
        max_abs=max(absolute) if absolute else None,
        max_relative=max(relative) if relative else None,
    )


def _array(raw: bytes, graph: Graph, name: str) -> Array:
    tensor = graph.tensors[name]
    return np.frombuffer(raw, tensor.dtype).reshape(tensor.shape)


def _bases(image: Image, name: str) -> dict[str, int]:
    """The address of each memory that a layer's pointers can point into."""
    found: dict[str, int] = {}
    for symbol in image.symbols.values():
        if symbol.kind == "object" and symbol.name.startswith(f"{name}_arena"):
            found[symbol.name.removeprefix(f"{name}_")] = symbol.address
        for memory, prefix in (("input", "sim_in"), ("output", "sim_out")):
            number = symbol.name.removeprefix(prefix)
            if number != symbol.name and number.isdigit():
                found[f"{memory}{number}"] = symbol.address
    return found
