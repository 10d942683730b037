# SPDX-License-Identifier: MIT
"""Inputs to check on: random ones from a seed, or the user's from an .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codegen.ir import Array, DType, Graph
from codegen.ops import Quantize
from simharness.errors import UsageError

Sample = Mapping[str, Array]
"""One value per input, by name."""

LONE_NAME = "x"
"""What the input of a model with only one may be called in a file."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An input of a model. `real_range` is what its quantizer can tell apart, if it has one."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    real_range: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype}[{','.join(map(str, self.shape))}]"


def input_specs(graph: Graph) -> tuple[InputSpec, ...]:
    """The inputs of a lowered graph."""
    ranges = {
        node.inputs[0]: ((-128 - node.op.zp) * node.op.scale, (127 - node.op.zp) * node.op.scale)
        for node in graph.nodes
        if isinstance(node.op, Quantize)
    }
    tensors = [graph.tensors[name] for name in graph.inputs]
    return tuple(InputSpec(t.name, t.shape, t.dtype, ranges.get(t.name)) for t in tensors)


def random_inputs(specs: Sequence[InputSpec], count: int, seed: int) -> list[Sample]:
    """`count` samples; the same seed gives the same ones, the first ones whatever the count.

    Integers are uniform over their type, floats over the range of their quantizer, else normal.
    """
    samples: list[Sample] = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        samples.append({spec.name: _random(spec, rng) for spec in specs})
    return samples


def _random(spec: InputSpec, rng: np.random.Generator) -> Array:
    if spec.dtype == "float32":
        if spec.real_range is not None:
            return rng.uniform(*spec.real_range, spec.shape).astype(np.float32)
        return rng.standard_normal(spec.shape, np.float32)
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(np.bool_)
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max, spec.shape, np.dtype(spec.dtype), endpoint=True)


def load_inputs(path: str | Path, specs: Sequence[InputSpec]) -> list[Sample]:
    """The samples of an .npz file: an array per input, under the input's name.

    An array is one sample, or has one more axis in front, or (where the model's batch is 1) a
    longer first axis: that axis counts samples. The lone input of a model may also be called `x`.
    Other arrays are left alone. Raises UsageError that says what is wrong with the file.
    """
    batches = {spec.name: _batch(path, spec, _array(path, spec, len(specs))) for spec in specs}
    counts = {name: len(batch) for name, batch in batches.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"{path}: inputs differ in their number of samples: {counts}")
    total = next(iter(counts.values()), 0)
    if not total:
        raise UsageError(f"{path}: there are no samples in it")
    return [{name: batch[i] for name, batch in batches.items()} for i in range(total)]


def _array(path: str | Path, spec: InputSpec, inputs: int) -> Array:
    """The array of one input."""
    try:
        with Path(path).open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UsageError(f"{path}: this is no .npz file; write one with numpy.savez")
            name = spec.name
            if name not in file.files and inputs == 1 and LONE_NAME in file.files:
                name = LONE_NAME
            if name not in file.files:
                or_x = f" (or {LONE_NAME!r})" if inputs == 1 and name != LONE_NAME else ""
                raise UsageError(
                    f"{path}: there is no array {spec.name!r}{or_x}; "
                    f"it has {', '.join(map(repr, file.files)) or 'none'}"
                )
            return np.asarray(file[name])
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except ValueError as error:  # numpy suggests to trust the file and unpickle it; we don't
        raise UsageError(
            f"{path}: this is no .npz file of plain arrays; write one with numpy.savez"
        ) from error
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(f"{path}: cannot be read as .npz: {error}") from error


def _batch(path: str | Path, spec: InputSpec, array: Array) -> Array:
    """The samples in an array, along a new first axis."""
    if array.dtype != spec.dtype:
        raise UsageError(f"{path}: the model's input {spec} cannot take {array.dtype} values")
    if array.shape == spec.shape:
        return array[np.newaxis]
    if array.shape[1:] == spec.shape:
        return array
    if spec.shape[:1] == (1,) and array.shape[1:] == spec.shape[1:]:
        return array[:, np.newaxis]
    raise UsageError(
        f"{path}: the model's input {spec} cannot take an array of shape {array.shape}; "
        f"a first axis more counts samples"
    )
