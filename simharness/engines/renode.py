# SPDX-License-Identifier: MIT
"""Renode as an engine: the image of the board itself, on a platform with the board's memories.

Renode 1.15 and newer, found by `SIMHARNESS_RENODE` or on PATH. It forgives what hardware does not,
so its log is searched for accesses outside memory and the flash is compared after the run. It
counts instructions, exactly, and by layer: a hook at each layer's entry and behind each call of one
writes the count to the log. It cannot prove that code is legal ARMv6-M: its M0+ is an M3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from simharness import elf
from simharness.engines import renode_server
from simharness.engines.base import EngineInfo, Missing, Trace
from simharness.engines.calls import return_addresses
from simharness.engines.renode_server import Server
from simharness.errors import FaultError, ToolMissingError, UsageError
from simharness.image import Image
from simharness.renode_project import MIPS, platform

INSTALL = (
    "install Renode 1.15 or newer (github.com/renode/renode/releases), "
    f"or set {renode_server.VARIABLE} to its path"
)
_CHUNK_INSTRUCTIONS = 200_000_000
_BOOT_BUDGET = 1 << 30
# What the host waits for one chunk: even a very slow one makes a million instructions a second.
_CHUNK_S = 200.0
_EVENT = re.compile(r"cpu: simharness ([0-9]+) ([0-9]+) ([0-9]+)")
_OUTSIDE = re.compile(r"non[- ]existing peripheral|outside the range of the peripheral|CPU abort")
_STACKED_PC = 24


class Renode:
    """The `renode` engine."""

    name = "renode"

    def missing(self) -> Missing | None:
        path = renode_server.program()
        if path is None:
            return Missing("renode is not on PATH", INSTALL)
        found = _version(path)
        numbers = tuple(int(n) for n in found.split(".")[:2] if n.isdigit())
        if numbers < renode_server.OLDEST:
            return Missing(f"{path} is {found or 'of no known version'}", INSTALL)
        return None

    def describe(self) -> EngineInfo:
        return EngineInfo(self.name, _version(renode_server.program() or ""), "counted")

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Boot, then call `sim_invoke` for each input set; the first one is counted by layer.

        Raises FaultError, with layer and address, for exceptions, a used-up budget, accesses
        outside memory, stores to flash, and a Renode that dies or hangs.
        """
        if absent := self.missing():
            raise ToolMissingError(f"engine renode: {absent.what}; {absent.remedy}")
        if not inputs:
            raise UsageError("an engine needs at least one set of inputs")
        server = renode_server.server(renode_server.program() or "")
        run = _Run(server, image)
        try:
            run.boot()
            outputs = []
            layers: dict[str, int] = {}
            for number, values in enumerate(inputs):
                if number == 1:
                    run.remove_hooks()
                outputs.append(run.invoke(values, budget))
                if number == 0:
                    layers = run.layers()
            run.check_flash()
        except FaultError:
            raise  # of the program; one of Renode's own has closed the server already
        except BaseException:
            server.close()  # what state it is in, nobody knows
            raise
        return Trace(
            outputs=tuple(outputs),
            profiles=(),
            instructions=sum(layers.values()),
            cycles=None,
            stack_bytes=None,
            engine=self.describe(),
            layer_instructions=layers,
        )


class _Run:
    """One image in one machine of a server."""

    def __init__(self, server: Server, image: Image) -> None:
        self._server = server
        self._image = image
        self._log_start = len(server.log_text())
        self._hooks: list[int] = []
        self._entries = {image.layer_symbol(n).address: n for n in image.layers}
        self._begin = self._end = 0

    def boot(self) -> None:
        """Load, run to `sim_ready`."""
        folder, symbols = self._server.folder, self._image.symbols
        (folder / "image.elf").write_bytes(self._image.elf)
        (folder / "machine.repl").write_text(platform(self._image.core, self._image.memories))
        vectors = symbols["sim_vectors"].address
        for command in (
            "Clear",
            'mach create "simharness"',
            f"machine LoadPlatformDescription @{folder / 'machine.repl'}",
            "emulation SetGlobalAdvanceImmediately true",
            'emulation SetGlobalQuantum "0.001"',
            f"sysbus LoadELF @{folder / 'image.elf'}",
            f"cpu VectorTableOffset {vectors:#x}",
            *(
                f'cpu AddHook {symbols[name].address:#x} "self.IsHalted = True"'
                for name in ("sim_ready", "sim_fault")
            ),
        ):
            self._server.command(command)
        self._run(_BOOT_BUDGET)
        for address in (*self._entries, *return_addresses(self._image, frozenset(self._entries))):
            self._server.command(
                f"cpu AddHook {address:#x} \"self.InfoLog('simharness {address} %d %d' % "
                '(self.ExecutedInstructions, self.GetRegister(14).RawValue))"'
            )
            self._hooks.append(address)

    def remove_hooks(self) -> None:
        """Stop counting by layer."""
        for address in self._hooks:
            self._server.command(f"cpu RemoveHooksAt {address:#x}")

    def invoke(self, values: tuple[bytes, ...], budget: int) -> tuple[bytes, ...]:
        """Run the model once; the bytes of each output."""
        ports = _ports(self._image, "sim_in")
        if [len(v) for v in values] != [size for _, size in ports]:
            raise UsageError(f"the inputs are not of {', '.join(str(n) for _, n in ports)} bytes")
        for (address, _), value in zip(ports, values, strict=True):
            self._server.write(address, value)
        symbols = self._image.symbols
        self._server.command(f"cpu PC {symbols['sim_invoke'].address | 1:#x}")
        self._server.command(f"cpu LR {symbols['sim_ready'].address | 1:#x}")
        self._server.command("cpu IsHalted false")
        self._begin = self._number("cpu ExecutedInstructions")
        self._run(budget)
        self._end = self._number("cpu ExecutedInstructions")
        status = self._number("cpu GetRegister 0")
        if status:
            raise FaultError(f"renode: the model's run function returned {status}")
        return tuple(self._server.read(a, n) for a, n in _ports(self._image, "sim_out"))

    def layers(self) -> dict[str, int]:
        """Instructions of the last call by layer, "(run)" last."""
        counts = dict.fromkeys((*self._image.layers, "(run)"), 0)
        bucket, since, back = "(run)", self._begin, 0
        for address, count, link in self._events():
            if bucket == "(run)" and address in self._entries:
                counts[bucket] += count - since
                bucket, since, back = self._entries[address], count, link & ~1
            elif bucket != "(run)" and address == back:
                counts[bucket] += count - since
                bucket, since = "(run)", count
        counts[bucket] += self._end - since
        return counts

    def check_flash(self) -> None:
        """FaultError where the program changed memory that it cannot write."""
        fixed = [m for m in self._image.memories if not m.writable]
        for segment in elf.parse(self._image.elf).load:
            if any(m.origin <= segment.address < m.origin + m.size_bytes for m in fixed):
                now = self._server.read(segment.address, len(segment.data))
                if now != segment.data:
                    at = next(i for i, b in enumerate(now) if b != segment.data[i])
                    raise FaultError(
                        f"renode: the program wrote to read-only memory at "
                        f"{segment.address + at:#010x}"
                    )

    def _run(self, budget: int) -> None:
        """Run until a hook halts the core. Halted time costs nothing, so chunks may be too long."""
        begin = self._number("cpu ExecutedInstructions")
        while True:
            left = budget - (self._number("cpu ExecutedInstructions") - begin)
            if left < 0:
                raise FaultError(
                    f"renode: the program used up its budget of {budget} instructions in "
                    f"{self._image.place(self._number('cpu PC'))} in layer {self._layer()}"
                )
            chunk = min(_CHUNK_INSTRUCTIONS, left + 1000)
            self._server.command(f'emulation RunFor "{chunk / (MIPS * 1e6):.6f}"', seconds=_CHUNK_S)
            self._check_log()
            if self._server.command("cpu IsHalted") == "True":
                break
        if self._number("cpu PC") == self._image.symbols["sim_fault"].address:
            place = self._number(f"sysbus ReadDoubleWord {self._number('cpu SP') + _STACKED_PC}")
            raise FaultError(
                f"renode: the program faulted at {self._image.place(place)} in layer "
                f"{self._layer()}"
            )

    def _layer(self, log: str | None = None) -> str:
        """The layer that was entered last and not left."""
        bucket, back = "(run)", 0
        for address, _, link in self._events(log):
            if bucket == "(run)" and address in self._entries:
                bucket, back = self._entries[address], link & ~1
            elif address == back:
                bucket = "(run)"
        return bucket

    def _check_log(self) -> None:
        log = self._new_log()
        if match := _OUTSIDE.search(log):
            start, end = log.rfind("\n", 0, match.start()) + 1, log.find("\n", match.end())
            raise FaultError(
                f"renode: access outside memory in layer {self._layer(log[:start])}: "
                f"{log[start:end].split(']', 1)[-1].strip()}"
            )

    def _new_log(self) -> str:
        return self._server.log_text()[self._log_start :]

    def _events(self, log: str | None = None) -> Iterator[tuple[int, int, int]]:
        """Address, instructions so far and link register at each hook, in order."""
        for match in _EVENT.finditer(self._new_log() if log is None else log):
            yield int(match[1]), int(match[2]), int(match[3])

    def _number(self, command: str) -> int:
        return int(self._server.command(command).split()[0], 0)


def _ports(image: Image, prefix: str) -> list[tuple[int, int]]:
    """Address and size of `prefix`0, `prefix`1, ..."""
    found: list[tuple[int, int]] = []
    while symbol := image.symbols.get(f"{prefix}{len(found)}"):
        found.append((symbol.address, symbol.size_bytes))
    if not found:
        raise UsageError(f"the image has no {prefix}0; build it with simharness.toolchain")
    return found


@cache
def _version(path: str) -> str:
    return renode_server.version(path)
