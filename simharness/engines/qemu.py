# SPDX-License-Identifier: MIT
"""QEMU as an engine: a subprocess, driven over semihosting, counted by our own TCG plugin.

QEMU 7.2 and newer. Its boards fix core and memory map, so the image is linked for the board that
`platform` names. The plugin (simharness/native/qemu_plugin.c) counts whole executed blocks between
the call of `sim_invoke` and its return, by layer, over the first input set.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cycle_models.profile import Block, Edge, Profile
from simharness import elf, native
from simharness.engines.base import EngineInfo, Missing, Trace
from simharness.errors import FaultError, ToolMissingError, UsageError
from simharness.image import Image, Memory

PROGRAM = "qemu-system-arm"
INSTALL = "apt-get install qemu-system-arm"
_MEGA = 1 << 20
_RUN_FAILED = 3
"""What semihost.c says when the model's run function returned an error."""


@dataclass(frozen=True, slots=True)
class Board:
    """A QEMU machine: what it is called, which core it has, and where its memories are."""

    machine: str
    cpu: str
    memories: tuple[Memory, ...]


_MPS2 = (
    Memory("FLASH", 0x0000_0000, 4 * _MEGA, writable=False),
    Memory("RAM", 0x2000_0000, 4 * _MEGA, writable=True),
)
_BOARDS = {
    "m0": Board("microbit", "cortex-m0", (
        Memory("FLASH", 0, 256 << 10, writable=False),
        Memory("RAM", 0x2000_0000, 16 << 10, writable=True),
    )),
    "m3": Board("mps2-an385", "cortex-m3", _MPS2),
    "m4": Board("mps2-an386", "cortex-m4", _MPS2),
    "m7": Board("mps2-an500", "cortex-m7", _MPS2),
    "m33": Board("mps2-an505", "cortex-m33", (
        Memory("FLASH", 0x1000_0000, 4 * _MEGA, writable=False),
        Memory("RAM", 0x3800_0000, 4 * _MEGA, writable=True),
    )),
}  # fmt: skip


_F2 = (
    Memory("FLASH", 0x0800_0000, _MEGA, writable=False),
    Memory("RAM", 0x2000_0000, 128 << 10, writable=True),
)
_WITH_TRUE_MEMORIES: Mapping[str, tuple[Board, ...]] = {
    "m0plus": (Board("netduino2", "cortex-m3", _F2),),
    "m3": (Board("netduino2", "cortex-m3", _F2),),
    "m4": (Board("netduinoplus2", "cortex-m4", _F2),),
}
"""For images that keep the addresses of their chip: machines laid out like STM32F2 and F4."""


def _holds(memory: Memory, first: int, end: int) -> bool:
    return memory.origin <= first and end <= memory.origin + memory.size_bytes


def board(core: str, *, small: bool = False) -> Board:
    """The board for a core.

    ARMv6-M code runs on the M3 board, whose memory holds real networks and whose instruction set
    contains it, unless `small` asks for the Cortex-M0 of the micro:bit (16 KiB RAM), which faults
    on anything that ARMv6-M lacks.
    """
    if core == "m0plus":
        return _BOARDS["m0" if small else "m3"]
    return _BOARDS[core]


class Qemu:
    """The `qemu` engine. With `small` ARMv6-M code runs on the Cortex-M0 board (see `board`)."""

    name = "qemu"

    def __init__(self, *, small: bool = False) -> None:
        self._small = small

    def missing(self) -> Missing | None:
        if shutil.which(PROGRAM) is None:
            return Missing(f"{PROGRAM} is not on PATH", INSTALL)
        return None

    def describe(self) -> EngineInfo:
        return EngineInfo(self.name, _version(), "counted")

    def platform(self, core: str) -> tuple[Memory, ...]:
        """The memories an image must be linked for; it also needs the semihosting server."""
        return board(core, small=self._small).memories

    def _where(self, image: Image) -> Board:
        """The board that has memory wherever the image needs it."""
        usual = board(image.core, small=self._small)
        more = () if self._small else _WITH_TRUE_MEMORIES.get(image.core, ())
        needed = _extents(image)
        for where in (usual, *more):
            if all(any(_holds(m, *e) for m in where.memories) for e in needed):
                return where
        first = min(needed)[0]
        raise UsageError(
            f"qemu has no {usual.cpu} machine with memory at every address of this image, which "
            f"starts at {first:#010x} ({', '.join(b.machine for b in (usual, *more))} were looked "
            "at): use --engine unicorn or renode, or leave --place out"
        )

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Run all input sets in one process; the first one's blocks make the profiles.

        Raises FaultError for a fault, with layer and symbol, for a used-up budget, and for a
        process that neither ends nor executes anything that our plugin sees.
        """
        if absent := self.missing():
            raise ToolMissingError(f"{absent.what}: {absent.remedy}")
        if not inputs:
            raise UsageError("an engine needs at least one set of inputs")
        sizes = _output_sizes(image)
        where = self._where(image)
        with tempfile.TemporaryDirectory(prefix="simharness-qemu-") as place:
            folder = Path(place)
            (folder / "image.elf").write_bytes(image.elf)
            (folder / "sim_in.bin").write_bytes(b"".join(b"".join(i) for i in inputs))
            (folder / "layers.txt").write_text(
                "".join(f"{image.layer_symbol(name).address:x}\n" for name in image.layers)
            )
            plugin = ",".join((
                str(_plugin()), "out=counts.txt", "layers=layers.txt", f"budget={budget}",
                f"start={image.symbols['sim_invoke'].address:x}",
                f"fault={image.symbols['sim_fault'].address:x}",
            ))  # fmt: skip
            # 20 million instructions a second are far below what it does; this is for hangs.
            status, words = _execute(where, plugin, folder, 20 + budget * len(inputs) / 20e6)
            raw = _read(folder / "sim_out.bin")
            counts = _read(folder / "counts.txt").decode().splitlines()
        _verdict(image, where, status, words, counts)
        if len(raw) != sum(sizes) * len(inputs):
            raise FaultError(f"qemu: the program wrote {len(raw)} bytes of output before it ended")
        run, *layers = _profiles(counts[:-1], ("(run)", *image.layers))
        return Trace(
            outputs=_split(raw, sizes, len(inputs)),
            profiles=(*layers, run),
            instructions=sum(
                int(f[4]) * int(f[5]) for f in (line.split() for line in counts) if f[0] == "B"
            ),
            cycles=None,
            stack_bytes=None,
            engine=self.describe(),
        )


def _extents(image: Image) -> list[tuple[int, int]]:
    """First address and end of everything that the image loads or uses."""
    parsed = elf.parse(image.elf)
    return [
        *((s.address, s.address + len(s.data)) for s in parsed.load),
        *((address, address + size) for address, size in parsed.places.values()),
    ]


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _verdict(image: Image, where: Board, status: int, words: str, counts: Sequence[str]) -> None:
    """Raise FaultError unless the run ended well."""
    end, bucket, address = counts[-1].split() if counts else ("", "0", "0")
    if end in ("fault", "budget"):
        what = "faulted" if end == "fault" else "used up its budget of instructions"
        layer = ("(run)", *image.layers)[int(bucket)]
        raise FaultError(
            f"qemu: the program {what} in or after {image.place(int(address, 16))} in layer {layer}"
        )
    if status == _RUN_FAILED:
        raise FaultError("qemu: the model's run function returned an error")
    if status != 0:
        raise FaultError(
            f"qemu: {where.machine} ended with status {status}" + (f": {words}" if words else "")
        )
    if end != "done":
        raise FaultError("qemu: the run never ended")


def _output_sizes(image: Image) -> list[int]:
    sizes: list[int] = []
    while (symbol := image.symbols.get(f"sim_out{len(sizes)}")) is not None:
        sizes.append(symbol.size_bytes)
    if not sizes:
        raise UsageError("qemu: the image was not built for this engine (no sim_out0)")
    return sizes


def _execute(where: Board, plugin: str, folder: Path, seconds: float) -> tuple[int, str]:
    """Status and first words of a QEMU that ran to its end. FaultError when it does not end."""
    command = (
        PROGRAM, "-machine", where.machine, "-nodefaults", "-display", "none", "-monitor", "none",
        "-serial", "null", "-semihosting-config", "enable=on,target=native",
        "-plugin", plugin, "-kernel", "image.elf",
    )  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FaultError(f"qemu: {where.machine} did not end within {seconds:.0f} s") from error
    return done.returncode, next(iter(done.stderr.strip().splitlines()), "")


def _split(raw: bytes, sizes: Sequence[int], runs: int) -> tuple[tuple[bytes, ...], ...]:
    outputs, at = [], 0
    for _ in range(runs):
        row = []
        for size in sizes:
            row.append(raw[at : at + size])
            at += size
        outputs.append(tuple(row))
    return tuple(outputs)


def _profiles(lines: Sequence[str], names: Sequence[str]) -> tuple[Profile, ...]:
    blocks: list[list[Block]] = [[] for _ in names]
    edges: dict[tuple[int, int, int], int] = defaultdict(int)
    for fields in (line.split() for line in lines):
        bucket = int(fields[1])
        if fields[0] == "B":
            blocks[bucket].append(Block(int(fields[2], 16), int(fields[3]), int(fields[5])))
        else:
            edges[bucket, int(fields[2], 16), int(fields[3], 16)] += int(fields[4])
    return tuple(
        Profile(
            name,
            tuple(sorted(blocks[k], key=lambda b: (b.address, b.size_bytes))),
            tuple(Edge(s, t, n) for (b, s, t), n in sorted(edges.items()) if b == k),
        )
        for k, name in enumerate(names)
    )


@cache
def _version() -> str:
    text = subprocess.run((PROGRAM, "--version"), capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0].removeprefix("QEMU emulator version ").strip()


def _plugin() -> Path:
    """The plugin for this QEMU. From 8.2 on QEMU refuses plugins of API version 1."""
    major, minor = (int(part) for part in _version().split(" ")[0].split(".")[:2])
    api = 1 if (major, minor) < (8, 2) else 2
    return native.build("qemu_plugin.c", defines=(f"SIM_PLUGIN_VERSION={api}",))
