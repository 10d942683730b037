# SPDX-License-Identifier: MIT
"""What --sanitize costs, as a ratio within one run: `python benchmarks/sanitizing.py MODEL...`.

Plain is what `simharness run` does for each sample: a booted core with the native counter. Watched
is the same inference with every data access compared. The two take turns in one process, so that a
busy host slows both; ratios are medians. Exit code 1 when a ratio is above 15.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from simharness import pipeline, sanitize, zoo
from simharness.engines.unicorn import invoke
from simharness.engines.unicorn_count import UNLIMITED
from simharness.engines.unicorn_cpu import Cpu

LIMIT = 15.0
ROUNDS = 5


def ratio(path: Path, core: str) -> float:
    """Watched over plain, of one network."""
    machine = pipeline.machine_for(core, None, None)
    wanted = pipeline.wishes("balanced", "exact", "auto", False)
    compiled = pipeline.generate(path, machine.core, wanted)
    image = pipeline.link(compiled, machine, "auto").image
    dice = np.random.default_rng(0)
    sizes = [compiled.graph.tensors[name].size_bytes for name in compiled.graph.inputs]
    values = tuple(dice.integers(0, 256, n, dtype=np.uint8).tobytes() for n in sizes)
    plain = Cpu(image)
    plain.boot()
    plain.counter.start(UNLIMITED)
    watch = sanitize.Watch(Cpu(image), sanitize.contract(compiled, image))
    watch.start(UNLIMITED)
    rounds = []
    for _ in range(ROUNDS + 1):
        begin = time.process_time()
        invoke(plain, values, UNLIMITED)
        middle = time.process_time()
        invoke(watch.cpu, values, UNLIMITED)
        rounds.append((middle - begin, time.process_time() - middle))
    found = statistics.median(watched / bare for bare, watched in rounds[1:])
    bare, watched = (1e3 * statistics.median(side) for side in zip(*rounds[1:], strict=True))
    print(f"{path.stem:28} {core:7} plain {bare:7.1f} ms, watched {watched:8.1f} ms: {found:.1f}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="+", help="ONNX files, or zoo:NAME")
    parser.add_argument("--core", default="m4")
    arguments = parser.parse_args()
    worst = max(ratio(zoo.resolve(model), arguments.core) for model in arguments.models)
    print(f"at worst {worst:.1f} (at most {LIMIT:.0f})")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
