# SPDX-License-Identifier: MIT
"""A board (or anything else) behind a GDB server: loads, runs, and reads the board's own counters.

`gdb:HOST:PORT` names it; `gdb:pyocd` starts a server by itself (simharness.engines.probe). The
image is the one for the board's own memories. `sim_invoke` is called from outside: arguments in
memory, return to a breakpoint at `sim_ready`. Cycles are counted by the firmware itself
(`sim_measure`): with DWT CYCCNT where it advances, else with SysTick and its overflows. They
include the few instructions that read the counters.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from simharness import elf
from simharness.engines import probe
from simharness.engines.base import EngineInfo, Fidelity, Missing, Trace
from simharness.engines.rsp import Connection, RefusedError
from simharness.errors import FaultError, SimharnessError, ToolMissingError, UsageError
from simharness.image import Image

SECONDS = 60.0
"""How long one inference may take on the target."""

_R0, _SP, _LR, _PC = 0, 13, 14, 15
_CFSR = 0xE000_ED28
_STACKED_PC = 24
_BOOT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Cycles of one call and the counter they were read from; None where no counter runs."""

    cycles: int | None
    counter: str


class Gdb:
    """The `gdb` engine for the server at `target` (HOST:PORT, or pyocd[:PROBE])."""

    name = "gdb"
    measuring = True  # its images count their own cycles

    def __init__(self, target: str = "", *, seconds: float = SECONDS) -> None:
        self._target = target
        self._seconds = seconds
        self._counter = ""

    def missing(self) -> Missing | None:
        if not self._target:
            return Missing(
                "it was not told where the GDB server is",
                "add --target HOST:PORT (OpenOCD and pyOCD use port 3333, J-Link 2331), or "
                "--target pyocd",
            )
        return probe.missing(self._target)

    def describe(self) -> EngineInfo:
        counts = self._counter.startswith(("DWT", "SysTick"))
        fidelity: Fidelity = "measured" if counts else "functional"
        return EngineInfo(self.name, f"{self._target}, {self._counter or 'not asked'}", fidelity)

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Load, boot, and call `sim_invoke` for each input set; the first one is measured.

        `budget` is not counted: each call has its time limit. Raises ToolMissingError when nobody
        answers, FaultError for exceptions, timeouts, and a server that dies or talks nonsense.
        """
        if absent := self.missing():
            raise ToolMissingError(f"engine gdb: {absent.what}; {absent.remedy}")
        if not inputs:
            raise UsageError("an engine needs at least one set of inputs")
        with probe.server(self._target) as target, Connection(target) as connection:
            board = _Board(connection, image, self._seconds)
            try:
                board.load()
                board.boot()
                measured = board.measure(inputs[0])
                self._counter = measured.counter
                outputs = tuple(board.invoke(values) for values in inputs)
            except RefusedError as error:
                raise FaultError(str(error)) from error
            finally:
                board.leave()
        return Trace(outputs, (), None, measured.cycles, None, self.describe())


class _Board:
    """An image on the target."""

    def __init__(self, connection: Connection, image: Image, seconds: float) -> None:
        self._connection = connection
        self._image = image
        self._seconds = seconds
        self._ready = image.symbols["sim_ready"].address
        self._fault = image.symbols["sim_fault"].address

    def load(self) -> None:
        """Halt, reset, and write what differs; flash by the server's own programmer."""
        target = self._connection
        target.halt()
        target.monitor("reset halt")
        flash = tuple(target.flash_regions())
        for segment in elf.parse(self._image.elf).load:
            if _holds(target, segment.address, segment.data):
                continue
            block = next((b for o, n, b in flash if o <= segment.address < o + n), 0)
            if block:
                target.program_flash(segment.address, segment.data, block)
            else:
                target.write(segment.address, segment.data)
            if not _holds(target, segment.address, segment.data):
                raise FaultError(
                    f"{target.target}: memory at {segment.address:#010x} does not hold what was "
                    "written there: is this the right board?"
                )

    def boot(self) -> None:
        """From the reset vector to `sim_ready`."""
        target = self._connection
        vectors = self._image.symbols["sim_vectors"].address
        target.set_register(_SP, target.read_word(vectors))
        target.set_register(_PC, target.read_word(vectors + 4) & ~1)
        number = _status_register(target)
        status = target.register(number)
        if not status & 1 << 24:  # a core that had no vectors at its reset is not in Thumb state
            target.set_register(number, status & 0xF800_0000 | 1 << 24)
        for address in (self._ready, self._fault):
            target.breakpoint(address)
        self._run(min(_BOOT_SECONDS, self._seconds))

    def invoke(self, values: tuple[bytes, ...], function: str = "sim_invoke") -> tuple[bytes, ...]:
        """Run the model once; the bytes of each output."""
        target = self._connection
        ports = _ports(self._image, "sim_in")
        if [len(v) for v in values] != [size for _, size in ports]:
            raise UsageError(f"the inputs are not of {', '.join(str(n) for _, n in ports)} bytes")
        for (address, _), value in zip(ports, values, strict=True):
            target.write(address, value)
        target.set_register(_LR, self._ready | 1)
        target.set_register(_PC, self._image.symbols[function].address)
        self._run(self._seconds)
        status = target.register(_R0)
        if status:
            raise FaultError(f"{target.target}: the model's run function returned {status}")
        return tuple(target.read(a, n) for a, n in _ports(self._image, "sim_out"))

    def measure(self, values: tuple[bytes, ...]) -> Measured:
        """Cycles of a call on `values`, when an earlier one has filled the caches."""
        counts = self._image.symbols.get("sim_counts")
        if counts is None or "sim_measure" not in self._image.symbols:
            return Measured(None, "the image was not built to measure itself")
        self.invoke(values)
        self.invoke(values, "sim_measure")
        raw = self._connection.read(counts.address, 16)
        return reading(*struct.unpack("<4I", raw))

    def _run(self, seconds: float) -> None:
        target = self._connection
        target.run(seconds=seconds)
        here = target.register(_PC) & ~1
        if here == self._fault:
            place = target.read_word(target.register(_SP) + _STACKED_PC)
            why = ""
            if self._image.core != "m0plus":
                with contextlib.suppress(RefusedError):
                    why = f" (CFSR {target.read_word(_CFSR):#010x})"
            raise FaultError(
                f"{target.target}: the program faulted at {self._image.place(place)}{why}"
            )
        if here != self._ready:
            raise FaultError(f"{target.target}: it stopped at {self._image.place(here)}")

    def leave(self) -> None:
        """No breakpoint stays; the core waits in a loop of ours."""
        target = self._connection
        with contextlib.suppress(SimharnessError, OSError):
            for address in (self._ready, self._fault):
                target.clear_breakpoint(address)
            target.set_register(_PC, self._fault)
        # Renode's core never runs again after a detach, unless the emulation is started anew, which
        # the next connection does when it is paused. Other servers do not know the word.
        with contextlib.suppress(SimharnessError, OSError):
            target.monitor("pause")
        target.detach()


def reading(cyccnt: int, overflows: int, before: int, after: int) -> Measured:
    """What the counters say. CYCCNT has 32 bits, of which SysTick tells the missing ones."""
    ticks = overflows * 2**24 + before - after
    if cyccnt:
        whole = round((ticks - cyccnt) / 2**32) if ticks > 2**31 else 0
        return Measured(cyccnt + max(0, whole) * 2**32, "DWT CYCCNT")
    if ticks > 0:
        return Measured(ticks, "SysTick")
    return Measured(None, "no counter: neither DWT CYCCNT nor SysTick advances")


def _holds(target: Connection, address: int, data: bytes) -> bool:
    try:
        return target.read(address, len(data)) == data
    except RefusedError:
        return False


def _status_register(target: Connection) -> int:
    """The number of xPSR, which servers do not agree on."""
    document = target.transfer("features:read:target.xml")
    for name in re.findall(r"<xi:include\s+href=[\"']([^\"']+)", document):
        document += target.transfer(f"features:read:{name}")
    number = 0
    for tag in re.findall(r"<reg\s[^>]*>", document):
        own = re.search(r"regnum=[\"'](\d+)", tag)
        number = int(own[1]) if own else number
        if re.search(r"name=[\"'][xX][pP][sS][rR][\"']", tag):
            return number
        number += 1
    return 25  # where GDB itself looks without a description


def _ports(image: Image, prefix: str) -> list[tuple[int, int]]:
    """Address and size of `prefix`0, `prefix`1, ..."""
    found: list[tuple[int, int]] = []
    while symbol := image.symbols.get(f"{prefix}{len(found)}"):
        found.append((symbol.address, symbol.size_bytes))
    if not found:
        raise UsageError(f"the image has no {prefix}0; build it with simharness.toolchain")
    return found
