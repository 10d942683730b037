# SPDX-License-Identifier: MIT
"""What an engine counted: executed blocks and edges. The input of every timing model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A run of instructions entered at `address`; `size_bytes` long; executed `count` times.

    Emulators split blocks at page ends, IT blocks and self-loops: a block is a fact of the run,
    not of the CFG.
    """

    address: int
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Control went from the block entered at `source` to the block entered at `target`, `count`
    times.
    """

    source: int
    target: int
    count: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of one region of a run (a layer, a function, or everything), sorted by address."""

    name: str
    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes as loaded at `address`."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CodeImage:
    """The code that the profiles refer to. Addresses have the Thumb bit cleared."""

    segments: tuple[Segment, ...]

    def read(self, address: int, size: int) -> bytes:
        """The bytes at `address`. Raises KeyError when no segment holds them all."""
        for s in self.segments:
            if s.address <= address and address + size <= s.address + len(s.data):
                return s.data[address - s.address : address - s.address + size]
        raise KeyError(f"no code at {address:#010x}+{size}")

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)
