# SPDX-License-Identifier: MIT
"""All variants for cores with the DSP extension or an FPU, fastest first."""

from __future__ import annotations

from codegen.kernels import (
    fast_add,
    fast_conv,
    fast_dense,
    fast_depthwise,
    fast_f32,
    fast_pool,
    fast_quantize,
)
from codegen.kernels.base import Variant

FAST_DSP: tuple[Variant, ...] = (
    *fast_depthwise.FAST,
    *fast_dense.FAST,
    *fast_conv.FAST,
    *fast_add.FAST_DSP,
    *fast_pool.FAST_DSP,
    *fast_f32.FAST,
    *fast_quantize.FAST_FPU,
)

SMALL_DSP: tuple[Variant, ...] = (
    *fast_depthwise.IN_BANDS,
    *fast_conv.IN_STRIPS,
    *fast_conv.FROM_FLASH,
)
"""The same kernels in ways that take less scratch and more time."""
