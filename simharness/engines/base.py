# SPDX-License-Identifier: MIT
"""An engine runs an image and says what happened. Three verbs; each engine is one small file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cycle_models.profile import Profile
from simharness.image import Image

Fidelity = Literal["functional", "counted", "timed", "measured"]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why an engine cannot run here, and the command that changes that."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    name: str
    version: str
    fidelity: Fidelity


@dataclass(frozen=True, slots=True)
class Trace:
    """What one image did on a sequence of inputs.

    `outputs[i][j]` are the raw bytes of output j for input set i.
    `profiles` has one entry per layer (named as `image.layers`) plus "(run)" for `NAME_run` itself,
    counted over the *first* input set only; empty when the engine's fidelity is "functional" or
    "measured". `instructions` is their sum; `cycles` only when the engine measures or times by
    itself. `layer_instructions` is by layer name, for engines that count without profiles.
    `stack_bytes` is the high-water mark below the initial stack pointer during that call,
    None if unknown.
    """

    outputs: tuple[tuple[bytes, ...], ...]
    profiles: tuple[Profile, ...]
    instructions: int | None
    cycles: int | None
    stack_bytes: int | None
    engine: EngineInfo
    layer_instructions: Mapping[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """A way to run an image. Faults raise `FaultError`, a missing tool `ToolMissingError`."""

    @property
    def name(self) -> str: ...

    def missing(self) -> Missing | None:
        """None when this engine can run here."""
        ...

    def run(self, image: Image, inputs: Sequence[tuple[bytes, ...]], *, budget: int) -> Trace:
        """Run the model once per input set; FaultError beyond `budget` instructions per call."""
        ...

    def describe(self) -> EngineInfo: ...
