# SPDX-License-Identifier: MIT
"""What `--requant fast` costs and saves: `python benchmarks/requant.py FOLDER [--samples N]`.

Both modes of each network run on the same random samples. Outputs and their elements that differ
from the exact mode's (which are ONNX Runtime's), the largest difference (steps of int8; real for
float outputs), and instructions of both. Exit code 1 where the exact mode is not exact.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codegen.target import Optimize
from simharness import check, engines, execution, pipeline
from simharness.check.suite import Suite

NETWORKS = (
    "mlperf_ic_resnet8", "mlperf_kws_dscnn", "mlperf_vww_mbv1", "mlperf_ad_fcae", "mcunet_in3",
)  # fmt: skip
CORES = ("m4", "m0plus")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--optimize", choices=("speed", "balanced", "size"), default="speed")
    asked = parser.parse_args()
    print(f"{'network':20s} {'core':7s} {'outputs':>9s} {'elements':>15s} {'largest':>9s} "
          f"{'exact':>12s} {'fast':>12s}")  # fmt: skip
    right = True
    for core in CORES:
        for network in NETWORKS:
            path = asked.models / f"{network}_int8.onnx"
            exact, exact_count, good = outputs(path, core, "exact", asked.optimize, asked.samples)
            fast, fast_count, _ = outputs(path, core, "fast", asked.optimize, asked.samples)
            differ = exact != fast
            largest = np.abs(exact.astype(np.float64) - fast.astype(np.float64)).max()
            right &= good
            saved = 100 * (1 - fast_count / exact_count)
            print(
                f"{network:20s} {core:7s} {differ.any(axis=1).sum():5d}/{len(exact):<3d} "
                f"{differ.sum():8d}/{differ.size:<6d} {largest:9.4g} "
                f"{exact_count:12,d} {fast_count:12,d} {saved:.2f} % less",
                flush=True,
            )
    return int(not right)


def outputs(
    path: Path, core: str, mode: str, optimize: Optimize, samples: int
) -> tuple[npt.NDArray[np.generic], int, bool]:
    """All outputs, one row per sample, instructions of a run, and whether the check is content."""
    machine = pipeline.machine_for(core, None, None)
    wanted = pipeline.wishes(optimize, mode, "auto", False)
    compiled, built = pipeline.program(path, machine, wanted, "auto")
    suite: Suite = check.suite(path, compiled, samples=samples)
    emulator = engines.engine("unicorn")
    image = execution.image_for(emulator, compiled, machine, built, "auto", "zero-wait")
    trace = emulator.run(image, suite.inputs, budget=10**10)
    dtype = suite.references[0][0].dtype
    rows = np.stack([np.frombuffer(raw[0], dtype) for raw in trace.outputs])
    assert trace.instructions is not None
    return rows, trace.instructions, suite.compare(trace.outputs).ok


if __name__ == "__main__":
    sys.exit(main())
