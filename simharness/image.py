# SPDX-License-Identifier: MIT
"""A built program: the ELF, what is in it, and how it was built. Produced by
`simharness.toolchain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycle_models.profile import CodeImage
from simharness.errors import UsageError


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
    """A memory of the machine that the image was linked for; `alias_of` names the one that it shows
    at another address, "" for none."""

    name: str
    origin: int
    size_bytes: int
    writable: bool
    alias_of: str = ""


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

    def place(self, address: int) -> str:
        """An address for a person: the function that holds it, the offset, and the number."""
        for s in self.symbols.values():
            if s.kind == "func" and s.address <= address < s.address + s.size_bytes:
                return f"{s.name}+{address - s.address:#x} ({address:#010x})"
        return f"{address:#010x}"

    def layer_symbol(self, name: str) -> Symbol:
        """The symbol of a layer function; compilers may have given a clone of it a suffix."""
        found = self.symbols.get(name) or next(
            (s for n, s in self.symbols.items() if s.kind == "func" and n.split(".")[0] == name),
            None,
        )
        if found is None:
            raise UsageError(
                f"the image has no function {name}; was it inlined? declare it noinline"
            )
        return found
