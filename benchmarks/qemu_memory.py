# SPDX-License-Identifier: MIT
"""What QEMU's memory mode costs: `python -m benchmarks.qemu_memory MODEL [BOARD]`.

Bare is QEMU without the plugin, counted is the plugin's blocks and edges, memory adds the simulated
memories. Each is the processor time of a whole QEMU with the same image, in turns; ratios are
medians. What the plugin asks of Python (each block's cost and plan, once per image) is its own row,
and so is Unicorn's memory mode with its share of that.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simharness import pipeline
from simharness.crosscheck import sample
from simharness.engines import qemu, qemu_boards
from simharness.engines.qemu import Qemu
from simharness.engines.unicorn import UnicornEngine
from simharness.image import Image

_BUDGET = 10**10
_ROUNDS = 9


def _bare(image: Image, values: tuple[bytes, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "image.elf").write_bytes(image.elf)
        Path(folder, "sim_in.bin").write_bytes(b"".join(values))
        machine = qemu_boards.board(image.core).machine
        subprocess.run(qemu.command(machine), cwd=folder, check=True, stderr=subprocess.DEVNULL)


def _seconds(work: Callable[[], object], who: int = resource.RUSAGE_CHILDREN) -> float:
    """Processor time of what `work` starts (or of this process)."""
    start = resource.getrusage(who)
    work()
    end = resource.getrusage(who)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def main(model: str = "zoo:lenet5-int8", board: str = "STM32L4R5") -> None:
    machine = pipeline.machine_for(None, board, None)
    path, _ = pipeline.model_file(model)
    compiled = pipeline.generate(path, machine.core, pipeline.Wishes())
    built = pipeline.link(compiled, machine, "auto")
    there = replace(machine, chip=Qemu().moved(machine.chip, built.placement))
    image = pipeline.link(compiled, there, "auto", semihosting=True).image
    values = sample(compiled, 0)
    where = (machine.chip, machine.clock_hz)

    works: tuple[Callable[[], object], ...] = (
        lambda: _bare(image, values),
        lambda: Qemu().run(image, [values], budget=_BUDGET),
        lambda: Qemu().memory_stalls(image, values, *where, budget=_BUDGET),
    )
    rounds = [[_seconds(work) for work in works] for _ in range(_ROUNDS)]
    print(f"{model} on {board}, {_ROUNDS} rounds")
    for k, name in enumerate(("bare", "counted", "memory")):
        ms = 1e3 * statistics.median(r[k] for r in rounds)
        ratio = statistics.median(r[k] / r[0] for r in rounds)
        print(f"{name:8} {ms:8.1f} ms {ratio:6.2f}" + " (at most 3)" * (name == "memory"))
    answers = _seconds(works[2], resource.RUSAGE_SELF)
    print(f"answers  {1e3 * answers:8.1f} ms   in Python, once per image")
    unicorn = _seconds(
        lambda: UnicornEngine().memory_stalls(built.image, values, *where, budget=_BUDGET),
        resource.RUSAGE_SELF,
    )
    print(f"unicorn  {1e3 * unicorn:8.1f} ms   memory mode, with the same in Python")
    ours = UnicornEngine().memory_stalls(built.image, values, *where, budget=_BUDGET)
    theirs = Qemu().memory_stalls(image, values, *where, budget=_BUDGET)
    for name, found in (("unicorn", ours), ("qemu", theirs)):
        stalls = sum(s.fetch.mid + s.data.mid + s.external.mid for s in found.values())
        print(f"stall cycles of {name}: {stalls:.4f}")
    print("equal in every layer" if ours == theirs else "DIFFERENT")


if __name__ == "__main__":
    main(*sys.argv[1:])
