# SPDX-License-Identifier: MIT
"""Boots unmodified firmware on an emulated board and speaks to its console.

Time is modelled: timers, SysTick and the cycle counter advance with zero-wait cycles plus memory
stalls, so firmware that measures itself prints what the model says.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import UcError

from cycle_models.chip import Chip
from cycle_models.core import load_core
from cycle_models.memory import MemorySystem, Totals, added
from cycle_models.peripherals import peripherals
from cycle_models.profile import Block, CodeImage, Edge, Profile
from simharness.engines.unicorn_count import UNLIMITED, Key, attach
from simharness.engines.unicorn_cpu import Bytes, Region, model
from simharness.engines.unicorn_memory import Feed
from simharness.errors import FaultError, UsageError
from simharness.foreign.console import Step
from simharness.foreign.devices import Devices
from simharness.foreign.load import Firmware
from simharness.image import Memory

_REGISTERS = ((0x4000_0000, 0x2000_0000), (0xA000_0000, 0x1_0000), (0xE000_0000, 0x10_0000))
_FACTORY = (  # factory data and identity of the STM32 families
    (0x08FF_F000, 0x1000),
    (0x0BFA_0000, 0x1_0000),
    (0x1FF0_0000, 0x10_0000),
)
_RETURN = 0xFFFF_FFF9
_IT_BITS = 0x0600_FC00
_BRANCH_TO_ITSELF, _WFI, _BREAKPOINT = 0xE7FE, 0xBF30, 0xBE
_PAGE = 4096
_SHORT, _QUICK, _LONG = 500, 5_000, 2_000_000
_LATENCY_S = 0.002
"""How long whoever is at the other end of the console takes to answer."""
_CALLER_SAVED = (
    arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1, arm_const.UC_ARM_REG_R2,
    arm_const.UC_ARM_REG_R3, arm_const.UC_ARM_REG_R12, arm_const.UC_ARM_REG_LR,
)  # fmt: skip
_SOME_BYTES = bytes(range(256))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What had been counted when a timer was read; `totals` by block as the feed lists them."""

    counts: dict[Key, int]
    totals: tuple[Totals, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Code(CodeImage):
    """The code of an image; where it has none, what memory holds: code that was copied to RAM."""

    memory: Callable[[int, int], bytes]

    def read(self, address: int, size: int) -> bytes:
        try:
            return CodeImage.read(self, address, size)
        except KeyError:
            return self.memory(address, size)


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """What the memory feed asks of an image."""

    code: CodeImage
    layers: tuple[str, ...] = ()


class Board:
    """A chip with firmware in its flash. `talk` runs a console script."""

    def __init__(
        self, firmware: Firmware, chip: Chip, system: MemorySystem, *, clock_hz: int
    ) -> None:
        """Load and reset. Raises UsageError when the image has no reset vector."""
        self.firmware = firmware
        self.chip = chip
        self.clock_hz = clock_hz
        self.uc = model(chip.core)
        self.regions = tuple(self._map(m) for m in _memories(chip))
        self.image = _Image(_Code(firmware.code.segments, self._code_in_memory))
        for s in firmware.load:
            self._write(s.address, s.data)
        self.counter = attach(self.uc, [(r.memory.origin, r.data.size) for r in self.regions], [])
        self.feed = Feed(self, system, load_core(chip.core), by_block=True)
        self.devices = Devices(peripherals(chip), firmware.vectors, self.feed.now)
        self.devices.on_timer = self._on_timer
        self.devices.on_sent = self._on_sent
        self.devices.on_systick = lambda: self.counter.resume(_SHORT)
        for origin, size in _REGISTERS:
            self.uc.mmio_map(origin, size, self._read, origin, self._store, origin)
        self._pc = self._reset_address()
        self.uc.reg_write(arm_const.UC_ARM_REG_SP, self._peek(firmware.vectors))
        self._interrupted = False
        self._may_end = False
        self._timeout_s = 10.0
        self._measure = b""
        self._wanted = b""
        self._last: Moment | None = None
        self.window: list[Moment] = []
        self._marks: list[int] = []
        self.counter.start(UNLIMITED)
        self.feed.run(True)

    # -- memory ----------------------------------------------------------------------------------

    def _map(self, memory: Memory) -> Region:
        size = -(-memory.size_bytes // _PAGE) * _PAGE
        host = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        self.uc.mem_map_ptr(memory.origin, size, 7, host.ctypes.data)
        return Region(memory, host)

    def _bytes(self, address: int, size: int) -> Bytes:
        for r in self.regions:
            start = address - r.memory.origin
            if start >= 0 and start + size <= r.data.size:
                return r.data[start : start + size]
        raise UsageError(f"{self.firmware.name}: no memory at {address:#010x}")

    def _write(self, address: int, data: bytes) -> None:
        self._bytes(address, len(data))[:] = np.frombuffer(data, np.uint8)

    def _peek(self, address: int, size: int = 4) -> int:
        return int.from_bytes(self._bytes(address, size).tobytes(), "little")

    def _code_in_memory(self, address: int, size: int) -> bytes:
        return self._bytes(address, size).tobytes()

    def _reset_address(self) -> int:
        """Where the vector table says that execution starts. UsageError unless that is code."""
        found = self._peek(self.firmware.vectors + 4)
        inside = (s.address <= found < s.address + len(s.data) for s in self.firmware.load)
        if not found & 1 or not any(inside):
            raise UsageError(
                f"{self.firmware.name}: the word at {self.firmware.vectors + 4:#010x}, "
                f"{found:#010x}, is no reset vector into this image; not a firmware, or linked for "
                "another address (--origin)?"
            )
        return found

    def _read(self, uc: object, offset: int, size: int, origin: int) -> int:
        return self.devices.read(origin + offset, size)

    def _store(self, uc: object, offset: int, size: int, value: int, origin: int) -> None:
        self.devices.write(origin + offset, size, value)

    # -- measuring -------------------------------------------------------------------------------

    def _on_timer(self) -> None:
        if self._measure and len(self.window) < 2:
            self._last = self._moment()

    def _moment(self) -> Moment:
        return Moment(self.counter.finish(), self.feed.snapshot())

    def measure_between(self, first: int, second: int) -> None:
        """Measure from the first time that `first` is reached to the next time of `second`."""
        self._marks = [first, second]
        self.uc.ctl_flush_tb()

    def finish_window(self, seconds: float) -> None:
        """Run on until the window is complete. Raises FaultError after so much emulated time."""
        limit = self.seconds + seconds
        while self._marks:
            if self.seconds > limit:
                raise FaultError(
                    f"{self.firmware.name} did not reach {self._marks[0]:#010x} within "
                    f"{seconds:g} s of emulated time; it is at {self._pc & ~1:#010x}"
                )
            self._slice()

    def run_for(self, seconds: float) -> None:
        """Measure from here until so much emulated time has passed or the firmware stops for good.

        What it does in the end is no work of its own: the turns of an endless loop are left out.
        """
        self._may_end = True
        self.window = [self._moment()]
        limit = self.seconds + seconds
        while self.seconds < limit and not self._stopped():
            self._slice(_QUICK)
        end = self._moment()
        if self._stopped():
            spun = self._pc & ~1
            end = Moment({k: n for k, n in end.counts.items() if k[1] != spun}, end.totals)
        self.window.append(end)

    def _stopped(self) -> bool:
        """Whether it is at a breakpoint, or waits in a branch to itself or after a WFI while
        nothing will interrupt it.
        """
        here, before = (self._halfword((self._pc & ~1) - back) for back in (0, 2))
        quiet = not self.devices.waiting and self.devices.cycles_to_tick() is None
        waits = here == _BRANCH_TO_ITSELF or before == _WFI
        return here >> 8 == _BREAKPOINT or (quiet and waits)

    def _on_sent(self) -> None:
        if self._wanted and self.devices.sent.endswith(self._wanted):
            self.counter.resume(1)  # stop at the next block: the script goes on from here
        if self._measure and self.devices.sent.endswith(self._measure) and len(self.window) < 2:
            if self._last is None:
                raise FaultError(
                    f"{self.firmware.name} sent {self._measure.decode()!r} without reading any "
                    "timer that the board file describes"
                )
            self.window.append(self._last)

    # -- running ---------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Emulated time since reset."""
        return self.feed.now() / self.clock_hz

    def talk(self, steps: Sequence[Step]) -> None:
        """Run a console script.

        Raises UsageError when the chip's file describes no UART, FaultError when an answer does not
        come in time.
        """
        if steps and not self.devices.chip.uarts:
            raise UsageError(
                f"{self.chip.path}: no [uart.NAME], so nobody to speak to; describe the UARTs of "
                f"{self.chip.name}, its [reads.NAME] registers and [timer.NAME] counters"
            )
        answer = b""
        for step in steps:
            match step.verb:
                case "timeout":
                    self._timeout_s = step.seconds
                case "send":
                    self._pause()
                    self.devices.sent.clear()
                    self.devices.waiting += step.text
                case "expect":
                    answer = step.text
                    self._until(answer, step.line)
                case "hex":
                    self._hex(step, answer)
                case "measure":
                    self._measure = step.text

    def _hex(self, step: Step, answer: bytes) -> None:
        data = (_SOME_BYTES * (step.count // 256 + 1))[: step.count]
        for at in range(0, step.count, step.per_line):
            part = data[at : at + step.per_line]
            self._pause()
            self.devices.sent.clear()
            self.devices.waiting += step.text + part.hex().encode() + b"%"
            self._until(answer, step.line)

    def _pause(self) -> None:
        """Let the firmware get ready for the next command, as a person at the console would."""
        self._wanted = b""
        until = self.seconds + _LATENCY_S
        while self.seconds < until:
            self._slice(_QUICK)

    def _until(self, text: bytes, line: int) -> None:
        limit = self.seconds + self._timeout_s
        self._wanted = text
        while text not in self.devices.sent:
            if self.seconds > limit:
                said = bytes(self.devices.sent[-200:]).decode("ascii", "replace")
                raise FaultError(
                    f"{self.firmware.name} did not send {text.decode()!r} (line {line} of the "
                    f"script) within {self._timeout_s:g} s of emulated time; it is at "
                    f"{self._pc & ~1:#010x} and sent {said!r}"
                )
            self._slice()

    def _slice(self, longest: int = _LONG) -> None:
        """Run for a while, then let interrupts in: at a block's start, where no IT is open."""
        wanted = self.devices.pending() if not self._interrupted else None
        if wanted is not None and not self.uc.reg_read(arm_const.UC_ARM_REG_CPSR) & _IT_BITS:
            self._interrupt(wanted)
        self.counter.resume(min(longest, self._budget()))
        try:
            self.uc.emu_start(self._pc | 1, self._marks[0] if self._marks else 0xFFFF_FFFE)
        except UcError as error:
            pc = self.uc.reg_read(arm_const.UC_ARM_REG_PC)
            if pc & 0xFFFF_FF00 != 0xFFFF_FF00:
                at_breakpoint = self._halfword(pc & ~1) >> 8 == _BREAKPOINT
                if at_breakpoint and self._may_end:
                    self._pc = pc
                    return
                why = "a breakpoint, which nobody serves" if at_breakpoint else str(error)
                raise FaultError(
                    f"{self.firmware.name}: {why}, at {pc:#010x}, after "
                    f"{self.seconds:.3f} s of emulated time"
                ) from error
            self._return()
            return
        self._pc = self.uc.reg_read(arm_const.UC_ARM_REG_PC)
        if self._marks and self._pc & ~1 == self._marks[0]:
            self.window.append(self._moment())
            self._marks.pop(0)
            self.uc.ctl_flush_tb()  # Unicorn looks for the place to stop when it translates

    def _halfword(self, address: int) -> int:
        """The halfword at an address; 0 where there is no memory."""
        inside = any(0 <= address - r.memory.origin < r.data.size - 1 for r in self.regions)
        return self._peek(address, 2) if inside else 0

    def _budget(self) -> int:
        """Instructions until something may want to interrupt."""
        tick = self.devices.cycles_to_tick()
        longest = _LONG if tick is None else int(min(_LONG, max(_SHORT, tick / 2)))
        return _QUICK if self.devices.waiting else longest

    def _interrupt(self, number: int) -> None:
        uc = self.uc
        status = uc.reg_read(arm_const.UC_ARM_REG_CPSR)
        sp = uc.reg_read(arm_const.UC_ARM_REG_SP)
        pad = sp & 4
        sp -= 32 + pad
        frame = [uc.reg_read(r) for r in _CALLER_SAVED]
        frame += [self._pc & ~1, (status & 0xF800_0000) | 0x0100_0000 | (pad << 7)]
        self._write(sp, b"".join(v.to_bytes(4, "little") for v in frame))
        uc.reg_write(arm_const.UC_ARM_REG_SP, sp)
        uc.reg_write(arm_const.UC_ARM_REG_LR, _RETURN)
        self._pc = self._peek(self.devices.vector_table() + 4 * number)
        self._interrupted = True

    def _return(self) -> None:
        uc = self.uc
        sp = uc.reg_read(arm_const.UC_ARM_REG_SP)
        frame = [self._peek(sp + 4 * i) for i in range(8)]
        for register, value in zip(_CALLER_SAVED, frame, strict=False):
            uc.reg_write(register, value)
        uc.reg_write(arm_const.UC_ARM_REG_SP, sp + 32 + (4 if frame[7] >> 9 & 1 else 0))
        status = uc.reg_read(arm_const.UC_ARM_REG_CPSR)
        flags = (status & 0x07FF_FFFF) | (frame[7] & 0xF800_0000)
        uc.reg_write(arm_const.UC_ARM_REG_CPSR, flags)
        self._pc = frame[6]
        self._interrupted = False


def _memories(chip: Chip) -> tuple[Memory, ...]:
    """The chip's memories, all writable; aliases hold the same bytes only at reset."""
    inside = [m for m in chip.memories if m.kind != "external"]
    real = [Memory(m.name, m.origin, m.size_bytes, True) for m in inside]
    for origin, size in _FACTORY:
        if not any(m.origin < origin + size and origin < m.origin + m.size_bytes for m in real):
            real.append(Memory(f"factory_{origin:08x}", origin, size, True))
    return tuple(real)


def between(first: Moment, second: Moment) -> Profile:
    """What ran between two moments."""
    blocks, edges = [], []
    for (bucket, source, size, target), n in sorted(second.counts.items()):
        count = n - first.counts.get((bucket, source, size, target), 0)
        if count > 0 and size:
            blocks.append(Block(source, size, count))
        elif count > 0:
            edges.append(Edge(source, target, count))
    return Profile("window", tuple(blocks), tuple(edges))


def paid_between(
    first: Moment, second: Moment, blocks: Sequence[tuple[int, int]]
) -> Mapping[int, Totals]:
    """What the memories cost meanwhile, by the address of the block that waited."""
    paid: dict[int, Totals] = {}
    for (address, _), now, before in zip_longest(blocks, second.totals, first.totals):
        if now is None:
            break
        mine = added([now], less=[before] if before is not None else [])
        paid[address] = added([paid[address], mine]) if address in paid else mine
    return paid
