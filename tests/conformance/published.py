# SPDX-License-Identifier: MIT
"""Which published networks are held to ONNX Runtime on which cores."""

from __future__ import annotations

import os

INT8 = (
    "mlperf_ic_resnet8_int8", "mlperf_ic_resnet8_int8_nchw", "mlperf_kws_dscnn_int8",
    "mlperf_kws_dscnn_int8_nchw", "mlperf_vww_mbv1_int8", "mlperf_vww_mbv1_int8_nchw",
    "mlperf_ad_fcae_int8",
)  # fmt: skip
FLOAT32 = tuple(name.replace("int8", "fp32") for name in INT8)
FURTHER = (
    "mcunet_vww1_int8", "mcunet_vww1_int8_nchw", "mcunet_in3_int8", "mcunet_in3_int8_nchw",
    "mnist_lenet300_int8", "tflm_hello_world_int8",
)  # fmt: skip
SMALL_CORES = ("m0plus", "m3", "m33")
ON_SMALL_CORES = ("ic", "kws", "ad")
SAMPLES = int(os.environ.get("SIMHARNESS_SAMPLES", "3"))
"""Random inputs for each network and core; more on request."""


def cases() -> list[tuple[str, str]]:
    """(network, core): all on M4 and M7, some on the others too.

    mcunet_in3 has negative multipliers, which cores without an FPU treat on their own.
    """
    found = [(n, c) for n in (*INT8, *FLOAT32, *FURTHER) for c in ("m4", "m7")]
    found.append(("mcunet_in3_int8", "m0plus"))
    for name in (*INT8, *FLOAT32):
        if name.split("_")[1] in ON_SMALL_CORES:
            found += [(name, core) for core in SMALL_CORES]
    return [
        *found,
        *(
            (n, c)
            for n in ("zoo:lenet5-int8", "zoo:lenet5-f32")
            for c in ("m4", "m7", *SMALL_CORES)
        ),
    ]
