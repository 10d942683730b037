# SPDX-License-Identifier: MIT
"""What Renode is told about a machine: a platform description with the chip's true memories."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simharness.image import Memory

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
    for memory in memories:
        size = -(-memory.size_bytes // _PAGE_BYTES) * _PAGE_BYTES
        lines += [
            f"{_identifier(memory.name)}: Memory.MappedMemory @ sysbus {memory.origin:#010x}",
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
