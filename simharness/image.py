# SPDX-License-Identifier: MIT
"""A built program: the ELF, what is in it, and how it was built. Produced by `simharness.toolchain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycle_models.profile import CodeImage


@dataclass(frozen=True, slots=True)
class Symbol:
    """`address` has the Thumb bit cleared; `kind` is "func", "object" or "notype"."""

    name: str
    address: int
    size_bytes: int
    kind: str


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Who compiled, with which exact version line and flags."""

    name: str
    version: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory of the machine that the image was linked for."""

    name: str
    origin: int
    size_bytes: int
    writable: bool


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An ELF for a Cortex-M, parsed.

    `layers` are the layer function names in execution order (empty for foreign ELFs).
    `memories` are those of the chip, or enlarged ones when `enlarged` is True.
    """

    elf: bytes
    core: str
    entry: int
    code: CodeImage
    symbols: Mapping[str, Symbol]
    sections: Mapping[str, int]
    memories: tuple[Memory, ...]
    toolchain: Toolchain | None
    layers: tuple[str, ...] = ()
    enlarged: bool = False
