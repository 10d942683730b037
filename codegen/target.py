# SPDX-License-Identifier: MIT
"""What the generator must know of the core it writes for; nothing about time or memory maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CoreName = Literal["m0plus", "m3", "m4", "m7", "m33"]
Fpu = Literal["none", "single", "double"]
Optimize = Literal["speed", "size", "balanced"]
RequantMode = Literal["exact", "fast"]


@dataclass(frozen=True, slots=True)
class Target:
    """Instruction-set features of a core, and the user's wishes for the generated code."""

    core: CoreName
    dsp: bool
    fpu: Fpu
    long_multiply: bool
    optimize: Optimize = "balanced"
    requant: RequantMode = "exact"
    reference_kernels: bool = False


_FEATURES: dict[CoreName, tuple[bool, Fpu, bool]] = {
    "m0plus": (False, "none", False),
    "m3": (False, "none", True),
    "m4": (True, "single", True),
    "m7": (True, "double", True),
    "m33": (True, "single", True),
}


def target(
    core: CoreName,
    *,
    optimize: Optimize = "balanced",
    requant: RequantMode = "exact",
    reference_kernels: bool = False,
) -> Target:
    """The target for a core name as users type it (`m4`); FPU and DSP as in the parts we ship."""
    dsp, fpu, long_multiply = _FEATURES[core]
    return Target(core, dsp, fpu, long_multiply, optimize, requant, reference_kernels)
