# SPDX-License-Identifier: MIT
"""What a run can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TimingMode = Literal["auto", "zero-wait"]

BUDGET = 20_000_000_000
"""Instructions per inference, unless told otherwise: two minutes of a fast core."""

Progress = Callable[[str], None]
"""Called with what starts now, in words for a person."""


def silent(what: str) -> None:
    """Nobody wants to hear about progress."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments of `simharness.run`, under the same names."""

    core: str | None
    board: str | Path | None
    clock_hz: int | None
    toolchain: str
    optimize: str
    requant: str
    planner: str
    reference_kernels: bool
    engine: str
    inputs: str | Path | None
    samples: int | None
    seed: int
    emulate_anyway: bool
    budget: int
    timing: TimingMode
    sanitize: bool = False
    patches: str = "off"
    ram_limit_bytes: int | None = None
    place: str = ""
