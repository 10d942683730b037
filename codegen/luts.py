# SPDX-License-Identifier: MIT
"""Tables for unary operators between int8 and int8: `y = table[x + 128]`.

Each entry is what ONNX Runtime gives for DequantizeLinear, the operator in float32, QuantizeLinear;
QLinearSigmoid and QLinearLeakyRelu build the same tables by themselves.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from codegen.ir import F32, I8
from codegen.oracle import mlas

LutKind = Literal[
    "requantize", "relu", "clip", "leakyrelu", "hardswish", "hardsigmoid", "sigmoid", "tanh"
]


def table(
    kind: LutKind,
    in_scale: float,
    in_zp: int,
    out_scale: float,
    out_zp: int,
    *,
    lo: float = -np.inf,
    hi: float = np.inf,
    alpha: float | None = None,
    beta: float = 0.5,
) -> I8:
    """The int8[256] table of `kind`, indexed by `x + 128`.

    Scales are float32 values, zero points those of int8 tensors. `lo`, `hi` (reals) are clip's
    limits, `alpha` is the slope of leakyrelu (ONNX's default 0.01) or hardsigmoid (0.2), `beta`
    hardsigmoid's offset. Raises ValueError for an unknown kind.
    """
    x = mlas.dequantize(np.arange(-128, 128, dtype=np.int8), in_scale, in_zp)
    with np.errstate(over="ignore"):
        y = _float(kind, x, lo, hi, alpha, beta)
    return mlas.quantize(y, out_scale, out_zp)


def _float(kind: LutKind, x: F32, lo: float, hi: float, alpha: float | None, beta: float) -> F32:
    match kind:
        case "requantize":
            return x
        case "relu":
            return np.maximum(x, np.float32(0))
        case "clip":
            return np.clip(x, np.float32(lo), np.float32(hi))
        case "leakyrelu":
            return mlas.leakyrelu(x, 0.01 if alpha is None else alpha)
        case "hardswish":
            return mlas.hardswish(x)
        case "hardsigmoid":
            return mlas.hardsigmoid(x, 0.2 if alpha is None else alpha, beta)
        case "sigmoid":
            return mlas.logistic(x)
        case "tanh":
            return mlas.tanh(x)
    raise ValueError(f"no table for {kind!r}; there are {', '.join(get_args(LutKind))}")
