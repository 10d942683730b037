# SPDX-License-Identifier: MIT
"""Sums of float32 as int32 with a known doubt, for cores without an FPU.

A kernel computes `y + 1/2` with `shift` bits of fraction. Where that lies farther than `doubt` from
an integer, its integer part is what float32 would round to; elsewhere the kernel asks float32.
"""

from __future__ import annotations

from math import ceil, log2

import numpy as np

_BITS = 29
"""Room for the value itself; the rest of an int32 is for the doubt and for partial sums."""

NOTHING_BUT_DOUBT = {"shift": 0, "doubt": 1, "offset": 0}


def half_ulp(largest: float) -> float:
    """The most that rounding a value of at most this magnitude to float32 changes it."""
    return float(np.spacing(np.float32(largest))) / 2


def fraction_bits(largest: float) -> int | None:
    """The `shift` that holds values of at most this magnitude; None when they are too large."""
    return _BITS - ceil(log2(largest)) if largest < 2**_BITS else None


def doubt(rounding_units: float) -> int:
    """A whole number of units of fraction that covers this error and its own rounding."""
    return ceil(rounding_units * 1.001) + 1
