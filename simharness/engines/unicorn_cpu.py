# SPDX-License-Identifier: MIT
"""One emulated core with an image in its memories. Everything that Unicorn gets wrong by default is
here.

- `UC_MODE_MCLASS` would turn every model into a Cortex-M33, so it is not passed; the models are
  M-profile anyway.
- Block hooks are attached before the first instruction: translated code ignores later hooks.
- Memories are host memory: reading and writing them costs nothing, and code is never rewritten
  after it ran.
- The FPU works without being enabled, and the system control space is plain memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from unicorn import unicorn_const as const
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M0,
    UC_CPU_ARM_CORTEX_M3,
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
    UC_CPU_ARM_CORTEX_M33,
)
from unicorn.unicorn_py3.unicorn import Uc, UcError

from simharness import elf
from simharness.engines.decode import aligned_accesses
from simharness.engines.unicorn_count import RUN, UNLIMITED, Counter, attach
from simharness.errors import FaultError, UsageError
from simharness.firmware import GUARD_BYTES, GUARD_PREFIX
from simharness.image import Image, Memory

MODELS: Mapping[str, int] = {
    "m0plus": UC_CPU_ARM_CORTEX_M0,  # the same instruction set; there is no M0+ model
    "m3": UC_CPU_ARM_CORTEX_M3,
    "m4": UC_CPU_ARM_CORTEX_M4,
    "m7": UC_CPU_ARM_CORTEX_M7,
    "m33": UC_CPU_ARM_CORTEX_M33,
}

BOOT_BUDGET = 1 << 30
PAINT = 0xA5C3_96E1
_GUARD_PAINT = 0x5D
_PAGE_BYTES = 1024
_SYSTEM_SPACE = (0xE000_E000, 0x1000)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_WHY: Mapping[int, str] = {
    const.UC_ERR_READ_UNMAPPED: "read from an address where there is no memory",
    const.UC_ERR_WRITE_UNMAPPED: "wrote to an address where there is no memory",
    const.UC_ERR_FETCH_UNMAPPED: "jumped to an address where there is no memory",
    const.UC_ERR_WRITE_PROT: "wrote to read-only memory",
    const.UC_ERR_FETCH_PROT: "jumped into memory that holds no code",
    const.UC_ERR_INSN_INVALID: "undefined instruction",
    const.UC_ERR_EXCEPTION: "exception (unaligned access, or a system call that nothing serves)",
}


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A memory of the machine: `data` is its content, shared with the emulator."""

    memory: Memory
    data: Bytes


def model(core: str) -> Uc:
    """A bare emulator of the core. Raises UsageError for an unknown core."""
    if core not in MODELS:
        raise UsageError(f"unknown core {core!r}; known are {', '.join(MODELS)}")
    uc = Uc(const.UC_ARCH_ARM, const.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(MODELS[core])
    return uc


class Cpu:
    """An image loaded and booted: `call` runs a function to its return."""

    def __init__(
        self,
        image: Image,
        *,
        pure_python: bool = False,
        check_alignment: bool = False,
        count: bool = True,
    ) -> None:
        """Map, load and attach the counter; nothing has run yet (see `boot`).

        Without `count` nothing is counted, and only a budget below UNLIMITED slows it down.
        """
        self.image = image
        self.uc = model(image.core)
        self.regions = tuple(self._map(m) for m in image.memories)
        self.uc.mem_map(*_SYSTEM_SPACE)
        parsed = elf.parse(image.elf)
        for segments in (parsed.load, parsed.code):
            for segment in segments:
                self.write(segment.address, segment.data)
        self._functions = sorted(
            (s for s in image.symbols.values() if s.kind == "func"), key=lambda s: s.address
        )
        self.layers = tuple(image.layer_symbol(name) for name in image.layers)
        self.counter: Counter = attach(
            self.uc,
            [(r.memory.origin, r.data.size) for r in self.regions],
            [s.address for s in self.layers],
            kind="none" if not count else "python" if pure_python else "native",
        )
        self._counting = count
        self.booted = False
        if check_alignment:
            accesses = aligned_accesses(elf.thumb_code(image.elf))
            self.counter.watch([(a, UC_ARM_REG_R0 + r) for a, r in accesses])
        self.stack_top = self._initial_stack(parsed)
        self._guards = tuple(
            (name, self.view(image.symbols[name].address, GUARD_BYTES))
            for name in image.symbols
            if name.startswith(GUARD_PREFIX)
        )
        ready = image.symbols.get("sim_ready")
        self.sentinel = ready.address if ready else self.regions[0].memory.origin + 2
        self._intact = bytes([_GUARD_PAINT]) * GUARD_BYTES

    def _map(self, memory: Memory) -> Region:
        size = -(-memory.size_bytes // _PAGE_BYTES) * _PAGE_BYTES
        host = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        rights = const.UC_PROT_ALL if memory.writable else const.UC_PROT_READ | const.UC_PROT_EXEC
        try:
            self.uc.mem_map_ptr(memory.origin, size, rights, host.ctypes.data)
        except UcError as error:
            raise UsageError(f"memory {memory.name} cannot be mapped: {error}") from error
        return Region(memory, host)

    def view(self, address: int, size: int) -> Bytes:
        """The bytes at an address, shared with the emulator. UsageError outside of memory."""
        for region in self.regions:
            start = address - region.memory.origin
            if start >= 0 and start + size <= region.data.size:
                return region.data[start : start + size]
        raise UsageError(f"no memory holds {address:#010x}+{size}; linked for another chip?")

    def write(self, address: int, data: bytes) -> None:
        self.view(address, len(data))[:] = np.frombuffer(data, np.uint8)

    def boot(self, budget: int = BOOT_BUDGET) -> None:
        """Run the start-up code to `sim_ready`; images without that symbol are ready as loaded."""
        self.uc.reg_write(UC_ARM_REG_SP, self.stack_top)
        if "sim_ready" in self.image.symbols:
            self.counter.start(budget)
            self.emulate(self.image.entry, budget)
            if self.uc.reg_read(UC_ARM_REG_PC) & ~1 != self.sentinel:
                raise FaultError(f"the start-up code stopped at {self.where()}, not at sim_ready")
        for _, zone in self._guards:
            zone[:] = _GUARD_PAINT
        self.booted = True

    def call(self, address: int, budget: int) -> None:
        """Run the function at `address` on the registers as they are, from the initial stack
        pointer.

        Raises FaultError. Counting since `counter.start` goes on.
        """
        self.uc.reg_write(UC_ARM_REG_SP, self.stack_top)
        self.uc.reg_write(UC_ARM_REG_LR, self.sentinel | 1)
        self.emulate(address, budget)
        self.check_guards()

    def emulate(self, address: int, budget: int) -> None:
        """Run from `address` on the registers as they are to the sentinel. Raises FaultError."""
        limit = 0 if self._counting or budget >= UNLIMITED else budget
        try:
            self.uc.emu_start(address | 1, self.sentinel, count=limit)
            while self.counter.more():
                self.uc.emu_start(self.uc.reg_read(UC_ARM_REG_PC) | 1, self.sentinel)
        except UcError as error:
            why = _WHY.get(error.errno, str(error))
            raise FaultError(f"{why}, at {self.where()}") from error
        self.check_stop(budget)

    def check_stop(self, budget: int) -> None:
        """Raise FaultError unless the emulation ended where it should."""
        if self.counter.exhausted:
            raise FaultError(
                f"more than {budget} instructions, stopped at {self.where()}; "
                "an endless loop, or a budget too small"
            )
        if self.counter.unaligned is not None:
            pc, base = self.counter.unaligned
            raise FaultError(
                f"unaligned access, which this instruction faults on (base {base:#010x}), "
                f"at {self._place(pc)}"
            )
        if self.counter.stray is not None:
            raise FaultError(f"jumped to {self.counter.stray:#010x}, outside of all memories")
        if self.uc.reg_read(UC_ARM_REG_PC) & ~1 != self.sentinel:
            why = "stopped by itself (WFI or a breakpoint?)"
            if not self._counting and budget < UNLIMITED:
                why = f"more than {budget} instructions, or stopped by itself,"
            raise FaultError(f"{why} at {self.where()}")

    def check_guards(self) -> None:
        """Raise FaultError when something wrote around the stack or the arena."""
        for name, zone in self._guards:
            if zone.tobytes() != self._intact:
                first = int(np.flatnonzero(zone != _GUARD_PAINT)[0])
                where = self.image.symbols[name].address + first
                kind = "stack" if "stack" in name else "arena"
                side = "below" if name.endswith("low") else "above"
                zone[:] = _GUARD_PAINT
                raise FaultError(
                    f"wrote {side} the {kind}: guard zone changed at {where:#010x}, "
                    f"seen when {self.layer()} had ended"
                )

    def paint_stack(self) -> None:
        """Fill the stack with a pattern, for `stack_bytes`."""
        self._stack()[:] = PAINT

    def stack_bytes(self) -> int | None:
        """Bytes from the initial stack pointer down to the lowest word written since painting."""
        stack = self._stack()
        if not stack.size:
            return None
        used = np.flatnonzero(stack != PAINT)
        return int((stack.size - used[0]) * 4) if used.size else 0

    def _stack(self) -> np.ndarray[Any, np.dtype[np.uint32]]:
        bottom = self.image.symbols.get("sim_stack_bottom")
        size = self.stack_top - bottom.address if bottom else 0
        return self.view(bottom.address if bottom else self.stack_top, size).view(np.uint32)

    def layer(self) -> str:
        """The layer that runs, or "(run)"."""
        bucket = self.counter.bucket
        return self.image.layers[bucket - 1] if bucket else RUN

    def where(self) -> str:
        """The place that the program counter points at, in words."""
        return self._place(self.uc.reg_read(UC_ARM_REG_PC) & ~1)

    def _place(self, pc: int) -> str:
        symbol = self.symbol_at(pc)
        function = symbol.split("+")[0].split(".")[0]
        layer = function if function in self.image.layers else self.layer()
        return f"{symbol} ({pc:#010x})" + (f" in layer {layer}" if layer != RUN else "")

    def symbol_at(self, address: int) -> str:
        """`function+0xoffset`, or "unknown code"."""
        for s in reversed(self._functions):
            if s.address <= address < s.address + max(s.size_bytes, 2):
                return f"{s.name}+{address - s.address:#x}"
        return "unknown code"

    def _initial_stack(self, parsed: elf.Parsed) -> int:
        top = self.image.symbols.get("sim_stack_top")
        if top:
            return top.address
        first = parsed.load[0]
        found = int.from_bytes(first.data[:4], "little") & ~7
        memories = [r.memory for r in self.regions if r.memory.writable]
        if not any(m.origin < found <= m.origin + m.size_bytes for m in memories):
            raise UsageError(
                f"the word at {first.address:#010x}, where the image begins, is {found:#010x}: no "
                "initial stack pointer of this chip; link a vector table there"
            )
        return found
