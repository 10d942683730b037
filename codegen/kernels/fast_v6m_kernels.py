# SPDX-License-Identifier: MIT
"""All variants for cores without the DSP extension, fastest first."""

from __future__ import annotations

from codegen.kernels import (
    fast_add,
    fast_pool,
    fast_quantize,
    fast_v6m_conv,
    fast_v6m_dense,
    fast_v6m_depthwise,
)
from codegen.kernels.base import Variant

FAST_V6M: tuple[Variant, ...] = (
    *fast_v6m_depthwise.FAST,
    *fast_v6m_dense.FAST,
    *fast_v6m_conv.FAST,
    *fast_add.FAST_V6M,
    *fast_pool.FAST_V6M,
    *fast_quantize.FAST_SEARCH,
)
