# SPDX-License-Identifier: MIT
"""What Renode is told about a machine: a platform description with the chip's true memories."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen import Compiled
from simharness import pipeline
from simharness.engines.unicorn import UnicornEngine
from simharness.image import Image, Memory
from simharness.options import BUDGET
from simharness.pipeline import Machine

CPU_TYPES = {
    "m0plus": "cortex-m0+",
    "m3": "cortex-m3",
    "m4": "cortex-m4",
    "m7": "cortex-m7",
    "m33": "cortex-m33",
}
MIPS = 100
"""Instructions per microsecond of virtual time: what Renode assumes by itself."""

_PAGE_BYTES = 1024  # Renode refuses memories that are no multiple of it


def platform(core: str, memories: Sequence[Memory]) -> str:
    """The .repl of a machine: its memories, interrupt controller, core, DWT and semihosting."""
    lines = []
    for memory in (m for m in memories if not m.alias_of):
        size = -(-memory.size_bytes // _PAGE_BYTES) * _PAGE_BYTES
        seen = [m.origin for m in memories if memory.name in (m.name, m.alias_of)]
        places = "; ".join(f"sysbus {origin:#010x}" for origin in seen)
        lines += [
            f"{_identifier(memory.name)}: Memory.MappedMemory @ "
            + (f"{{ {places} }}" if len(seen) > 1 else places),
            f"    size: {size:#x}",
            "",
        ]
    lines += [
        "nvic: IRQControllers.NVIC @ sysbus 0xE000E000",
        "    priorityMask: 0xF0",
        f"    systickFrequency: {MIPS * 1_000_000}",
        "    IRQ -> cpu@0",
        "",
        "cpu: CPU.CortexM @ sysbus",
        f'    cpuType: "{CPU_TYPES[core]}"',
        "    nvic: nvic",
        f"    PerformanceInMips: {MIPS}",
        "",
    ]
    if core != "m0plus":
        lines += [
            "dwt: Miscellaneous.DWT @ sysbus 0xE0001000",
            f"    frequency: {MIPS * 1_000_000}",
            "",
        ]
    return "\n".join((*lines, "semihosting: UART.SemihostingUart @ cpu", ""))


def _identifier(name: str) -> str:
    """A memory's name as Renode takes it: of its own, so that it is no name of a core or bus."""
    return "mem_" + re.sub(r"[^a-z0-9]", "_", name.lower())


@dataclass(frozen=True, slots=True)
class Project:
    """Files for a person to open in Renode, by name, and the instructions they will see."""

    files: Mapping[str, bytes]
    instructions: int


def project(
    compiled: Compiled, machine: Machine, *, toolchain: str = "auto", budget: int = BUDGET
) -> Project:
    """ELF, .repl and .resc of a network on a board: one run on all-zero inputs.

    The ELF writes the outputs to the semihosting UART; the .resc logs the instructions of the run,
    which are those that Unicorn counts. Raises BuildError, UsageError, FaultError.
    """
    image = pipeline.link(compiled, machine, toolchain, showing=True).image
    zeros = tuple(
        bytes(s.size_bytes)
        for n, s in sorted(image.symbols.items())
        if re.fullmatch(r"sim_in\d+", n)
    )
    count = UnicornEngine().run(image, [zeros], budget=budget).instructions or 0
    name = compiled.program.name
    text = _script(name, machine.chip.name, image, count)
    repl = platform(machine.core, image.memories)
    return Project(
        {f"{name}.elf": image.elf, f"{name}.repl": repl.encode(), f"{name}.resc": text.encode()},
        count,
    )


def _script(name: str, chip: str, image: Image, count: int) -> str:
    begin = image.symbols["sim_invoke"].address
    end = image.symbols["sim_returned"].address
    keep, tell = (
        "import __builtin__; __builtin__.sim_begin = self.ExecutedInstructions",
        "import __builtin__; self.InfoLog('{} took %d instructions' % "
        "(self.ExecutedInstructions - __builtin__.sim_begin))".replace("{}", name),
    )
    return "\n".join((
        f":name: {name} on {chip}",
        f":description: One run on all-zero inputs; Unicorn counts {count} instructions.",
        "",
        f'mach create "{name}"',
        f"machine LoadPlatformDescription $ORIGIN/{name}.repl",
        "emulation SetGlobalAdvanceImmediately true",
        f"sysbus LoadELF $ORIGIN/{name}.elf",
        f"cpu VectorTableOffset {image.symbols['sim_vectors'].address:#x}",
        f'cpu AddHook {begin:#x} "{keep}"',
        f'cpu AddHook {end:#x} "{tell}"',
        "showAnalyzer cpu.semihosting",
        "start",
        "",
    ))  # fmt: skip
