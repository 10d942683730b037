# SPDX-License-Identifier: MIT
"""What timing costs, as ratios to the bare emulator: `python -m benchmarks.timing [MODEL [BOARD]]`.

Bare is Unicorn without any hook; zero-wait is the block counter; memory adds the native memory
simulation. The three take turns in one process and the fastest turn of each counts, so that a busy
host disturbs little.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from cycle_models.core import load_core
from cycle_models.memory import memory_system
from cycle_models.timing import time_profiles
from simharness import pipeline, zoo
from simharness.engines.unicorn import UnicornEngine, invoke
from simharness.engines.unicorn_count import UNLIMITED
from simharness.engines.unicorn_cpu import Cpu
from simharness.engines.unicorn_memory import Feed
from simharness.toolchain import Built

_BUDGET = UNLIMITED
_ROUNDS = 25
_BOARDS = ("STM32F446", "STM32G0B1", "RP2040", "STM32F746", "STM32U575")


def _timed(cpu: Cpu, values: tuple[bytes, ...]) -> float:
    start = time.perf_counter()
    invoke(cpu, values, _BUDGET)
    return time.perf_counter() - start


def _inputs(built: Built) -> tuple[bytes, ...]:
    rng = np.random.default_rng(0)
    symbols = built.image.symbols.values()
    sizes = [s.size_bytes for s in symbols if s.name.startswith("sim_in") and s.kind == "object"]
    return tuple(rng.integers(0, 256, n, dtype=np.uint8).tobytes() for n in sizes)


def main(model: str = "zoo:lenet5-int8", *boards: str) -> None:
    for board in boards or _BOARDS:
        show(model, board)


def show(model: str, board: str) -> None:
    """Print the ratios of one model on one board."""
    machine = pipeline.machine_for(None, board, None)
    wanted = pipeline.wishes("balanced", "exact", "auto", False)
    built = pipeline.link(
        pipeline.generate(zoo.resolve(model), machine.core, wanted), machine, "auto"
    )
    values = _inputs(built)
    core = load_core(machine.core)

    bare_cpu = Cpu(built.image, count=False)
    bare_cpu.boot()
    counted_cpu = Cpu(built.image)
    counted_cpu.boot()
    counted_cpu.counter.start(_BUDGET)
    memory_cpu = Cpu(built.image)
    feed = Feed(memory_cpu, memory_system(machine.chip), core)
    memory_cpu.boot()
    memory_cpu.counter.start(_BUDGET)
    feed.run(True)
    rounds = [
        [_timed(cpu, values) for cpu in (bare_cpu, counted_cpu, memory_cpu)] for _ in range(_ROUNDS)
    ]
    bare, counted, memory = (min(column) for column in zip(*rounds, strict=True))

    trace = UnicornEngine().run(built.image, [values], budget=_BUDGET)
    start = time.perf_counter()
    time_profiles(trace.profiles, built.image.code, core)
    model_s = time.perf_counter() - start
    print(f"{model} on {board}: {trace.instructions} instructions")
    print(f"bare       {1e3 * bare:8.1f} ms   1.00")
    print(f"zero-wait  {1e3 * counted:8.1f} ms   {counted / bare:.2f} (at most 1.3)")
    print(f"memory     {1e3 * memory:8.1f} ms   {memory / bare:.2f} (at most 6)")
    print(f"model      {1e3 * model_s:8.1f} ms   once per image, in Python")


if __name__ == "__main__":
    main(*sys.argv[1:])
