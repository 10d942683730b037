# SPDX-License-Identifier: MIT
"""Tables for element-wise functions between int8 and int8: `y = table[x + 128]`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.ir import F32, I8
from codegen.oracle import mlas


def table(
    function: Callable[[F32], F32], in_scale: float, in_zp: int, out_scale: float, out_zp: int
) -> I8:
    """The int8[256] table of a float32 function, indexed by `x + 128`.

    Each entry is what ONNX Runtime gives for DequantizeLinear, the operator in float32,
    QuantizeLinear; QLinearSigmoid and QLinearLeakyRelu build the same tables by themselves.
    Scales are float32 values, zero points those of int8 tensors.
    """
    x = mlas.dequantize(np.arange(-128, 128, dtype=np.int8), in_scale, in_zp)
    with np.errstate(over="ignore"):
        y = function(x)
    return mlas.quantize(y, out_scale, out_zp)
