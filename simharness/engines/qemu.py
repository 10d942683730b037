# SPDX-License-Identifier: MIT
"""QEMU as an engine: a subprocess, driven over semihosting, counted by our own TCG plugin.

QEMU 7.2 and newer. Its boards fix core and memory map, so the image is linked for the board that
`platform` names, or for the chip with its memories `moved` there. The plugin
(simharness/native/qemu_plugin.c) counts whole executed blocks between the call of `sim_invoke` and
its return, by layer, over the first input set; in memory mode it simulates the chip's memories too.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cycle_models import memory
from cycle_models.chip import Chip
from cycle_models.core import load_core
from cycle_models.memory import Totals, memory_system, stalls_of
from cycle_models.timing import MemoryStalls
from simharness import native
from simharness.engines import qemu_boards, qemu_profile
from simharness.engines.base import EngineInfo, Missing, Trace
from simharness.engines.qemu_boards import Board, board
from simharness.engines.qemu_plans import Plans
from simharness.errors import FaultError, ToolMissingError, UsageError
from simharness.firmware import Placement
from simharness.image import Image, Memory

PROGRAM = "qemu-system-arm"
INSTALL = "apt-get install qemu-system-arm"
_RUN_FAILED = 3
"""What semihost.c says when the model's run function returned an error."""


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

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Run all input sets in one process; the first one's blocks make the profiles.

        Raises FaultError for a fault, with layer and symbol, for a used-up budget, and for a
        process that neither ends nor executes anything that our plugin sees.
        """
        done = self._session(image, inputs, budget)
        profiles = qemu_profile.profiles(done.counts, ("(run)", *image.layers), image.code)
        return Trace(
            outputs=done.outputs,
            profiles=(*profiles[1:], profiles[0]),
            instructions=sum(
                int(f[4]) * int(f[5]) for f in (line.split() for line in done.counts) if f[0] == "B"
            ),
            cycles=None,
            stack_bytes=None,
            engine=self.describe(),
        )

    def moved(self, chip: Chip, placement: Placement) -> Chip:
        """The chip that a placed program must be linked for to have its memories simulated.

        Raises UsageError where QEMU's machine has no room for them.
        """
        return qemu_boards.moved(chip, placement, board(chip.core, small=self._small))

    def memory_stalls(
        self, image: Image, values: tuple[bytes, ...], chip: Chip, clock_hz: int, *, budget: int
    ) -> Mapping[str, MemoryStalls]:
        """The stalls of one inference from cold caches, by layer name, and "(run)" for the rest.

        `image` is one for the `moved` chip. The figures are those of the unicorn engine's memory
        mode. Raises FaultError as any run.
        """
        there = qemu_boards.relocated(chip, {m.name: m.origin for m in image.memories})
        system = memory_system(there, clock_hz=clock_hz)
        plans = Plans(image.code, load_core(image.core), bytes(system.config))
        counts = self._session(image, [values], budget, plans).counts
        fields = (line.split() for line in counts if line.startswith("M "))
        totals = [Totals(*map(int, numbers)) for _, _, *numbers in fields]
        return {
            name: stalls_of(system, t)
            for name, t in zip(("(run)", *image.layers), totals, strict=True)
        }

    def _session(
        self,
        image: Image,
        inputs: Sequence[tuple[bytes, ...]],
        budget: int,
        plans: Plans | None = None,
    ) -> _Done:
        """One process; with `plans` in memory mode."""
        if absent := self.missing():
            raise ToolMissingError(f"{absent.what}: {absent.remedy}")
        if not inputs:
            raise UsageError("an engine needs at least one set of inputs")
        sizes = _output_sizes(image)
        where = board(image.core, small=self._small)
        if not qemu_boards.holds(where, image.memories):
            raise UsageError(f"the image is not linked for QEMU's {where.machine}")
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
            status, words = _execute(where, plugin, folder, 20 + budget * len(inputs) / 20e6, plans)
            raw = _read(folder / "sim_out.bin")
            counts = _read(folder / "counts.txt").decode().splitlines()
        _verdict(image, where, status, words, counts)
        if len(raw) != sum(sizes) * len(inputs):
            raise FaultError(f"qemu: the program wrote {len(raw)} bytes of output before it ended")
        return _Done(_split(raw, sizes, len(inputs)), counts[:-1])


@dataclass(frozen=True, slots=True)
class _Done:
    """What a run left: outputs, and the plugin's lines but the last."""

    outputs: tuple[tuple[bytes, ...], ...]
    counts: Sequence[str]


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


def command(machine: str) -> tuple[str, ...]:
    """Runs image.elf on a machine, its files in the working directory."""
    return (
        PROGRAM, "-machine", machine, "-nodefaults", "-display", "none", "-monitor", "none",
        "-serial", "null", "-semihosting-config", "enable=on,target=native", "-kernel", "image.elf",
    )  # fmt: skip


def _execute(
    where: Board, plugin: str, folder: Path, seconds: float, plans: Plans | None
) -> tuple[int, str]:
    """Status and first words of a QEMU that ran to its end. FaultError when it does not end."""
    with plans or contextlib.nullcontext():
        if plans is not None:
            (folder / "memory.bin").write_bytes(plans.config)
            plugin += f",memory=memory.bin,ask={plans.ask},answer={plans.answer}"
        process = subprocess.Popen(
            (*command(where.machine), "-plugin", plugin),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(plans.ask, plans.answer) if plans else (),
        )
        try:
            if plans is not None:
                plans.started()
            _, words = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise FaultError(f"qemu: {where.machine} did not end within {seconds:.0f} s") from error
        finally:
            process.kill()
            process.wait()
    return process.returncode, next(iter(words.strip().splitlines()), "")


def _split(raw: bytes, sizes: Sequence[int], runs: int) -> tuple[tuple[bytes, ...], ...]:
    outputs, at = [], 0
    for _ in range(runs):
        row = []
        for size in sizes:
            row.append(raw[at : at + size])
            at += size
        outputs.append(tuple(row))
    return tuple(outputs)


@cache
def _version() -> str:
    text = subprocess.run((PROGRAM, "--version"), capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0].removeprefix("QEMU emulator version ").strip()


def _plugin() -> Path:
    """The plugin for this QEMU. From 8.2 on QEMU refuses plugins of API version 1."""
    major, minor = (int(part) for part in _version().split(" ")[0].split(".")[:2])
    api = 1 if (major, minor) < (8, 2) else 2
    return native.build(
        "qemu_plugin.c", defines=(f"SIM_PLUGIN_VERSION={api}",), include=memory.SOURCE.parent
    )
