# SPDX-License-Identifier: MIT
"""Every installed emulator on published networks: `python -m benchmarks.crosscheck FOLDER [CORE]`.

One line per network and core: instructions, which engines counted exactly these with equal outputs,
and what differs where they do not. The folder holds the .onnx files; the cores are all of CORES
unless named.
"""

from __future__ import annotations

import sys
from pathlib import Path

from simharness.crosscheck import crosscheck

CORES = ("m0plus", "m4", "m7", "m33")
NETWORKS = (
    "zoo:lenet5-int8", "mlperf_ad_fcae_int8", "mlperf_kws_dscnn_int8", "mlperf_vww_mbv1_int8",
    "mlperf_ic_resnet8_int8",
)  # fmt: skip


def main(folder: str, *cores: str) -> int:
    worst = 0
    for network in NETWORKS:
        model = network if ":" in network else str(Path(folder) / f"{network}.onnx")
        for core in cores or CORES:
            found = crosscheck(model, core, samples=1)
            engines = ", ".join(f"{o.engine.name} {o.engine.version}" for o in found.opinions)
            count = found.opinions[0].instructions or 0
            verdict = "equal" if found.ok else "; ".join(found.disagreements)
            print(f"{network:24} {core:7} {count:>12,}  {verdict}  ({engines})", flush=True)
            worst |= not found.ok
    return worst


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
