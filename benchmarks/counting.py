# SPDX-License-Identifier: MIT
"""What counting costs, as a ratio within one run; and how many calls a Machine makes per second.

    python benchmarks/counting.py [MODEL.onnx | zoo:NAME] [--core m4]

Without a model it takes MLPerf Tiny's image classifier from the folder of published networks
(SIMHARNESS_MODELS, or ../shared/models), else zoo:lenet5-int8. Bare and counted instances of one
image take turns on the same input, so that a busy host slows both; figures are medians.
Exit code 1 when counting costs more than 1.3 times bare emulation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from codegen.build import compile_model
from codegen.target import CoreName, target
from cycle_models.chip import default_chip
from simharness import zoo
from simharness.engines.unicorn_count import UNLIMITED, NativeCounter, PythonCounter
from simharness.engines.unicorn_cpu import Cpu
from simharness.image import Image
from simharness.machine import Machine
from simharness.toolchain import Port, Program, build

LIMIT = 1.3
ROUNDS = 15
PUBLISHED = "mlperf_ic_resnet8_int8.onnx"

DOT = """
#include <stdint.h>
int32_t dot(const int8_t *a, const int8_t *b, int32_t n) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}
"""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("model", nargs="?", default=None)
    arguments.add_argument("--core", default="m4")
    chosen = arguments.parse_args()
    path = zoo.resolve(chosen.model) if chosen.model else default_model()
    image = image_of(path, chosen.core)
    bare, counted = Cpu(image, count=False), Cpu(image)
    watched = Cpu(image, check_alignment=True)
    instructions = one_run(counted) and counted.counter.executed
    times = interleaved([lambda: one_run(bare), lambda: one_run(counted), lambda: one_run(watched)])
    ratio = statistics.median(c / b for b, c, _ in times)
    watching = statistics.median(w / b for b, _, w in times)
    milliseconds = statistics.median(b for b, _, _ in times) * 1e3
    print(f"{path.stem} on {chosen.core}: {instructions} instructions, {milliseconds:.1f} ms bare")
    print(f"counted / bare: {ratio:.2f} (at most {LIMIT})")
    print(f"counted and alignment watched / bare: {watching:.2f}")
    if not isinstance(counted.counter, NativeCounter):
        print("counted in Python: no host compiler was found")
    for core in ("m0plus", "m4"):
        print(
            f"Machine on {core}: {calls_per_second(core):.0f} calls of a 64-element dot per second"
        )
    return int(ratio > LIMIT and not isinstance(counted.counter, PythonCounter))


def default_model() -> Path:
    """The published image classifier where it is at hand."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "models"
    published = Path(os.environ.get("SIMHARNESS_MODELS", beside)) / PUBLISHED
    return published if published.exists() else zoo.path("lenet5-int8")


def image_of(path: Path, core: CoreName) -> Image:
    compiled = compile_model(path, target(core))
    program = compiled.program
    ports = tuple(
        tuple(Port(p.ctype, p.count) for p in side) for side in (program.inputs, program.outputs)
    )
    return build(
        compiled.sources, core, default_chip(core),
        program=Program(compiled.name, f"{compiled.name}.h", *ports),
        layers=[layer.symbol for layer in program.layers],
    ).image  # fmt: skip


def one_run(cpu: Cpu) -> float:
    """Seconds for one inference on whatever the input buffers hold; boots at first use."""
    if not cpu.booted:
        cpu.boot(UNLIMITED)
    cpu.counter.start(UNLIMITED)
    begin = time.perf_counter()
    cpu.call(cpu.image.symbols["sim_invoke"].address, UNLIMITED)
    return time.perf_counter() - begin


def interleaved(runs: list[Callable[[], float]]) -> list[tuple[float, ...]]:
    for run in runs:  # translation is not what is measured
        run()
    return [tuple(run() for run in runs) for _ in range(ROUNDS)]


def calls_per_second(core: CoreName) -> float:
    machine = Machine(core, {"dot.c": DOT})
    a = np.arange(64, dtype=np.int8)
    calls = 5000
    begin = time.perf_counter()
    for _ in range(calls):
        machine.call("dot", a, a, 64)
    return calls / (time.perf_counter() - begin)


if __name__ == "__main__":
    sys.exit(main())
