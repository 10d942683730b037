# SPDX-License-Identifier: MIT
"""How far outputs are from their reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codegen.ir import Array

FLOAT_TOLERANCE = 1e-5
"""What float32 outputs may differ by, as a share of the largest reference output."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The differences of one output over some samples.

    `mismatches` counts the elements beyond what is allowed. `max_lsb` is for integers, and for
    floats that were integers; `max_abs` and `max_rel`, relative to the largest reference value, are
    for floats.
    """

    ok: bool
    elements: int
    mismatches: int
    max_lsb: int | None = None
    max_abs: float | None = None
    max_rel: float | None = None


def compare(
    outputs: Sequence[Array],
    reference: Sequence[Array],
    *,
    allowed_lsb: int = 0,
    step: float | None = None,
) -> CheckResult:
    """Compare the same output over samples, each an array; shapes and types must agree.

    Integers may differ by `allowed_lsb`; floats by FLOAT_TOLERANCE of the largest reference value,
    and by so many times `step`, the scale of an output that was dequantized.
    NaN equals NaN, an infinity only itself. Raises ValueError when shapes or types differ.
    """
    for ours, theirs in zip(outputs, reference, strict=True):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise ValueError(
                f"{ours.dtype}{ours.shape} cannot be compared with {theirs.dtype}{theirs.shape}"
            )
    ours, theirs = _flat(outputs), _flat(reference)
    if not np.issubdtype(ours.dtype, np.floating):
        difference = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
        wrong = int((difference > allowed_lsb).sum())
        largest = int(difference.max(initial=0))
        return CheckResult(wrong == 0, ours.size, wrong, max_lsb=largest)
    distance = distances(ours, theirs)
    scale = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0))
    wrong = int((distance > FLOAT_TOLERANCE * scale + allowed_lsb * (step or 0.0)).sum())
    worst = float(distance.max(initial=0.0))
    relative = worst / scale if scale else (0.0 if worst == 0 else float("inf"))
    steps = round(worst / step) if step and np.isfinite(worst) else None
    return CheckResult(wrong == 0, ours.size, wrong, steps, worst, relative)


def distances(ours: Array, theirs: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Absolute differences as float64: 0 between NaNs, inf where only one is finite."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.abs(a - b)
    return np.where(same, 0.0, np.where(np.isfinite(difference), difference, np.inf))


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([a.reshape(-1) for a in arrays])
