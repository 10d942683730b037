# SPDX-License-Identifier: MIT
"""The default engine: Unicorn in this process, blocks and edges counted exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
from unicorn.arm_const import UC_ARM_REG_R0

from cycle_models.chip import Chip
from cycle_models.core import load_core
from cycle_models.memory import memory_system
from cycle_models.profile import Profile
from cycle_models.timing import MemoryStalls
from simharness import native
from simharness.engines import legality
from simharness.engines.base import EngineInfo, Missing, Trace
from simharness.engines.decode import executed
from simharness.engines.unicorn_count import RUN, Capture, profiles
from simharness.engines.unicorn_cpu import Cpu
from simharness.errors import FaultError, UsageError
from simharness.image import Image


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of memory to look at: an absolute address and a size."""

    address: int
    size_bytes: int


class UnicornEngine:
    """Runs images built by `simharness.toolchain`; needs nothing that is not installed with us.

    `pure_python` counts without the native callback: the same numbers, 8 to 30 times slower (and
    only where something is counted or watched, so that more inputs do not cost as much more).
    """

    name = "unicorn"

    def __init__(self, *, pure_python: bool = False) -> None:
        self._pure_python = pure_python

    def missing(self) -> Missing | None:
        return None

    def describe(self) -> EngineInfo:
        version = metadata.version("unicorn")
        if self._pure_python or native.load() is None:
            why = native.reason() if not self._pure_python else "as asked"
            version += f" (counted in Python: {why})"
        return EngineInfo(self.name, version, "counted")

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Boot once, then run every input set; the first one's blocks make the profiles.

        Of several input sets the last runs on a second instance that also watches the alignment of
        LDM, LDRD, VLDR... (2 to 3 times slower). Raises FaultError for anything that hardware would
        fault on, a used-up budget, or damage to the zones around stack and arena; it names layer,
        symbol and address.
        """
        if not inputs:
            raise UsageError("an engine needs at least one set of inputs")
        cpu = self._booted(image)
        outputs = []
        first: tuple[Profile, ...] = ()
        stack: int | None = None
        for number, values in enumerate(inputs):
            if number and number == len(inputs) - 1:
                cpu = self._booted(image, check_alignment=True)
            elif number == 1 and not cpu.counter.native:
                cpu = self._booted(image, count=False)
            cpu.paint_stack()
            cpu.counter.start(budget)
            outputs.append(invoke(cpu, values, budget))
            if number == 0:
                stack = cpu.stack_bytes()
                first = profiles(cpu.counter.finish(), (RUN, *image.layers))
                legality.check(first, image)
        return Trace(
            outputs=tuple(outputs),
            profiles=(*first[1:], first[0]),
            instructions=executed(first, image.code),
            cycles=None,
            stack_bytes=stack,
            engine=self.describe(),
        )

    def memory_stalls(
        self, image: Image, values: tuple[bytes, ...], chip: Chip, clock_hz: int, *, budget: int
    ) -> Mapping[str, MemoryStalls]:
        """The stalls of one inference from cold caches, by layer name, and "(run)" for the rest."""
        from simharness.engines import unicorn_memory

        system = memory_system(chip, clock_hz=clock_hz)
        core = load_core(image.core)
        return unicorn_memory.memory_stalls(image, values, system, core, budget=budget)

    def _booted(self, image: Image, *, check_alignment: bool = False, count: bool = True) -> Cpu:
        cpu = Cpu(
            image, pure_python=self._pure_python, check_alignment=check_alignment, count=count
        )
        cpu.boot()
        return cpu


def intermediates(
    image: Image,
    inputs: tuple[bytes, ...],
    regions: Mapping[str, Iterable[Region]],
    *,
    budget: int,
    pure_python: bool = False,
) -> dict[str, tuple[bytes, ...]]:
    """What `regions` (by layer name) held when their layer had just ended, for one input set.

    This finds the first layer that computes something else than its reference. Raises FaultError,
    UsageError for an unknown layer or an address without memory.
    """
    unknown = sorted(set(regions) - set(image.layers))
    if unknown:
        raise UsageError(f"the image has no layer {unknown[0]!r}")
    cpu = Cpu(image, pure_python=pure_python)
    cpu.boot()
    found: dict[str, list[np.ndarray[tuple[int], np.dtype[np.uint8]]]] = {}
    for bucket, layer in enumerate(image.layers, start=1):
        for region in regions.get(layer, ()):
            into = np.zeros(region.size_bytes, np.uint8)
            source = cpu.view(region.address, region.size_bytes)
            cpu.counter.add_capture(Capture(bucket, source, into))
            found.setdefault(layer, []).append(into)
    cpu.counter.start(budget)
    invoke(cpu, inputs, budget)
    cpu.counter.finish()
    return {layer: tuple(a.tobytes() for a in arrays) for layer, arrays in found.items()}


def invoke(cpu: Cpu, values: tuple[bytes, ...], budget: int) -> tuple[bytes, ...]:
    """Run `sim_invoke` once on `values`; the bytes of each output."""
    ports = _ports(cpu.image, "sim_in")
    if len(ports) != len(values):
        raise UsageError(f"the model has {len(ports)} inputs, not {len(values)}")
    for number, ((address, size), value) in enumerate(zip(ports, values, strict=True)):
        if len(value) != size:
            raise UsageError(f"input {number} has {size} bytes, not {len(value)}")
        cpu.write(address, value)
    cpu.call(cpu.image.symbols["sim_invoke"].address, budget)
    status = cpu.uc.reg_read(UC_ARM_REG_R0)
    if status:
        raise FaultError(f"the model's run function returned {status}")
    return tuple(cpu.view(a, n).tobytes() for a, n in _ports(cpu.image, "sim_out"))


def _ports(image: Image, prefix: str) -> list[tuple[int, int]]:
    """Address and size of `prefix`0, `prefix`1, ..."""
    found: list[tuple[int, int]] = []
    while symbol := image.symbols.get(f"{prefix}{len(found)}"):
        found.append((symbol.address, symbol.size_bytes))
    if not found:
        raise UsageError(f"the image has no {prefix}0; build it with simharness.toolchain")
    return found
