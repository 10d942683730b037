# SPDX-License-Identifier: MIT
"""Two counters for Unicorn's block hook, native and pure Python, with identical results.

A bucket is a layer: it opens when the block at a layer function's entry runs and closes when the
block at its return address does; what it calls (libgcc, shared kernels) counts to it. Bucket 0 is
"(run)". A block belongs to the bucket in which it ran, an edge to the bucket of its source.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from unicorn import UC_HOOK_BLOCK, UC_HOOK_CODE
from unicorn.arm_const import UC_ARM_REG_LR
from unicorn.unicorn_py3.unicorn import Uc, UcError, uclib

from cycle_models.profile import Block, Edge, Profile
from simharness import native
from simharness.engines import decode

RUN = "(run)"
UNLIMITED = 1 << 61
SLICE = 1 << 27
"""Instructions between two looks at Ctrl-C: some tenths of a second."""
_DEPTH = 64

Kind = Literal["native", "python", "none"]
Ranges = Sequence[tuple[int, int]]
Key = tuple[int, int, int, int]
"""(bucket, source, size or 0 for an edge, target or 0 for a block)"""


@dataclass(slots=True)
class Capture:
    """Bytes of host memory to copy into `into` whenever bucket `bucket` closes."""

    bucket: int
    source: np.ndarray[Any, np.dtype[np.uint8]]
    into: np.ndarray[Any, np.dtype[np.uint8]]


class Counter(Protocol):
    """Counts from `start` to `finish`; must be attached before any code runs."""

    native: bool

    def start(self, budget: int) -> None: ...
    def resume(self, budget: int) -> None: ...
    def more(self) -> bool: ...
    def finish(self) -> dict[Key, int]: ...
    def add_capture(self, capture: Capture) -> None: ...
    def watch(self, accesses: Sequence[tuple[int, int]]) -> None: ...

    @property
    def executed(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    @property
    def bucket(self) -> int: ...
    @property
    def stray(self) -> int | None: ...
    @property
    def unaligned(self) -> tuple[int, int] | None: ...


def attach(uc: Uc, ranges: Ranges, layers: Sequence[int], kind: Kind = "native") -> Counter:
    """Attach a counter for code in `ranges` (address, size) with layer functions at `layers`.

    A native one becomes one in Python where it cannot be built.
    """
    counter = PythonCounter(uc, ranges, layers)
    if kind == "none":
        return counter
    library = native.load() if kind == "native" else None
    if library is not None:
        return NativeCounter(uc, ranges, layers, library)
    counter.hook()
    return counter


def profiles(counts: dict[Key, int], names: Sequence[str]) -> tuple[Profile, ...]:
    """One profile per name (bucket number = position), each sorted by address."""
    blocks: list[list[Block]] = [[] for _ in names]
    edges: list[list[Edge]] = [[] for _ in names]
    for (bucket, source, size, target), count in sorted(counts.items()):
        if size:
            blocks[bucket].append(Block(source, size, count))
        else:
            edges[bucket].append(Edge(source, target, count))
    return tuple(
        Profile(n, tuple(b), tuple(e)) for n, b, e in zip(names, blocks, edges, strict=True)
    )


class NativeCounter:
    """The counter of simharness/native/count.c."""

    native = True

    def __init__(self, uc: Uc, ranges: Ranges, layers: Sequence[int], library: ctypes.CDLL) -> None:
        self._library = library
        words = ctypes.c_uint32 * max(1, len(ranges))
        entries = (ctypes.c_uint32 * max(1, len(layers)))(*layers)
        self._pointer = library.sim_new(
            len(ranges), words(*(a for a, _ in ranges)), words(*(n for _, n in ranges)),
            len(layers), entries, *(_address(f) for f in ("stop", "reg", "mem")),
        )  # fmt: skip
        if not self._pointer:
            raise MemoryError("no memory for the block counter")
        self._state = native.State.from_address(self._pointer)
        self._captures: list[Capture] = []
        self._budget = self._granted = 0
        self.slice = SLICE
        self._uc = uc
        self._hook(UC_HOOK_BLOCK, library.sim_on_block, self._pointer, 1, 0)

    def __del__(self) -> None:
        if pointer := getattr(self, "_pointer", None):
            self._library.sim_free(pointer)

    def _hook(self, kind: int, function: Any, user: int, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._uc._uch, ctypes.byref(handle), kind, ctypes.cast(function, ctypes.c_void_p),
            ctypes.c_void_p(user), ctypes.c_uint64(begin), ctypes.c_uint64(end),
        )  # fmt: skip
        if status:
            raise UcError(status)

    def watch(self, accesses: Sequence[tuple[int, int]]) -> None:
        """Stop at an (instruction, register) when the register is no multiple of 4 there."""
        for address, register in accesses:
            if not self._library.sim_watch(self._pointer, address, register):
                raise MemoryError("no memory for watched instructions")
        if accesses:
            # One hook for all: Unicorn searches a list of hooks at every instruction that has one.
            first, last = min(a for a, _ in accesses), max(a for a, _ in accesses)
            self._hook(UC_HOOK_CODE, self._library.sim_on_access, self._pointer, first, last)

    def start(self, budget: int) -> None:
        self._library.sim_reset(self._pointer)
        self.resume(budget)

    def resume(self, budget: int) -> None:
        """A new budget without forgetting counts; cheaper than `start`."""
        state = self._state
        self._budget = min(budget, UNLIMITED)
        self._granted = state.left = min(self._budget, self.slice)
        state.exhausted = 0
        state.unaligned = 0
        state.stray = 0

    def more(self) -> bool:
        """True when the emulation paused only so that Ctrl-C is heard, and may go on."""
        state = self._state
        grant = min(self._budget - self._granted, self.slice)
        if not state.exhausted or grant <= 0:
            return False
        self._granted += grant
        state.left += grant
        state.exhausted = 0
        return True

    def finish(self) -> dict[Key, int]:
        count = self._library.sim_finish(self._pointer)
        if self._state.out_of_memory:
            raise MemoryError("no memory for block counts")
        totals: dict[Key, int] = defaultdict(int)
        if count:
            place = self._library.sim_records(self._pointer)
            raw = (ctypes.c_char * (count * _RECORD.itemsize)).from_address(place)
            for bucket, source, size, target, n in np.frombuffer(raw, _RECORD).tolist():
                totals[bucket, source, size, target] += n
        return dict(totals)

    def add_capture(self, capture: Capture) -> None:
        self._captures.append(capture)
        if not self._library.sim_capture(
            self._pointer, capture.bucket, capture.source.ctypes.data,
            capture.into.ctypes.data, capture.into.size,
        ):  # fmt: skip
            raise MemoryError("no memory for captures")

    @property
    def executed(self) -> int:
        return int(self._granted - self._state.left)

    @property
    def exhausted(self) -> bool:
        return bool(self._state.exhausted)

    @property
    def bucket(self) -> int:
        return int(self._state.bucket)

    @property
    def bucket_address(self) -> int:
        """Where the current bucket's number lies in host memory, for other native callbacks."""
        return ctypes.addressof(self._state) + native.State.bucket.offset

    @property
    def stray(self) -> int | None:
        return int(self._state.stray_pc) if self._state.stray else None

    @property
    def unaligned(self) -> tuple[int, int] | None:
        state = self._state
        return (int(state.unaligned_pc), int(state.base)) if state.unaligned else None


_RECORD = np.dtype(
    [("bucket", "<u4"), ("source", "<u4"), ("size", "<u4"), ("target", "<u4"), ("count", "<u8")]
)
_FUNCTIONS = {"stop": "uc_emu_stop", "reg": "uc_reg_read", "mem": "uc_mem_read"}


def _address(role: str) -> ctypes.c_void_p:
    return ctypes.cast(getattr(uclib, _FUNCTIONS[role]), ctypes.c_void_p)


@dataclass(slots=True, eq=False)
class PythonCounter:
    """The same in Python: 8 to 30 times slower, for hosts without any compiler."""

    uc: Uc
    ranges: Ranges
    layers: Sequence[int]
    native: bool = False
    executed: int = 0
    exhausted: bool = False
    bucket: int = 0
    stray: int | None = None
    unaligned: tuple[int, int] | None = None
    _budget: int = UNLIMITED
    _counts: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    _frames: list[tuple[int, int]] = field(default_factory=list)
    _previous: int | None = None
    _lengths: dict[tuple[int, int], int] = field(default_factory=dict)
    _entries: dict[int, int] = field(default_factory=dict)
    _captures: list[Capture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._entries = {address: i + 1 for i, address in enumerate(self.layers)}

    def hook(self) -> None:
        """Start to listen; before this, nothing is counted."""
        self.uc.hook_add(UC_HOOK_BLOCK, self._on_block)

    def start(self, budget: int) -> None:
        self._counts.clear()
        self._frames.clear()
        self._previous = None
        self.bucket = 0
        self.resume(min(budget, UNLIMITED))

    def resume(self, budget: int) -> None:
        self._budget = budget
        self.executed = 0
        self.exhausted = False
        self.stray = None
        self.unaligned = None

    def more(self) -> bool:
        return False

    def watch(self, accesses: Sequence[tuple[int, int]]) -> None:
        registers = dict(accesses)

        def on_access(uc: Uc, pc: int, size: int, _: object) -> None:
            register = registers.get(pc)
            if register is not None and (base := uc.reg_read(register)) & 3:
                self.unaligned = pc, base
                uc.emu_stop()

        for address in registers:
            self.uc.hook_add(UC_HOOK_CODE, on_access, begin=address, end=address)

    def finish(self) -> dict[Key, int]:
        while self._frames:
            self._leave()
        self._previous = None
        return dict(self._counts)

    def add_capture(self, capture: Capture) -> None:
        self._captures.append(capture)

    def _enter(self, link: int, bucket: int) -> None:
        # A function may begin with a loop: coming back to its first block is no second call.
        if not (self._frames and self.bucket == bucket and self._frames[-1][0] == link):
            self._frames.append((link, self.bucket))
            self.bucket = bucket

    def _leave(self) -> None:
        for capture in self._captures:
            if capture.bucket == self.bucket:
                capture.into[:] = capture.source
        _, self.bucket = self._frames.pop()

    def _on_block(self, uc: Uc, address: int, size: int, _: object) -> None:
        pc = address & ~1
        length = self._lengths.get((pc, size))
        if length is None:
            if not any(base <= pc < base + n for base, n in self.ranges):
                self.stray = pc
                uc.emu_stop()
                return
            length = decode.instructions(bytes(uc.mem_read(pc, size)))
            self._lengths[pc, size] = length
        if self._previous is not None:
            self._counts[self.bucket, self._previous, 0, pc] += 1
        self._previous = pc
        if self._frames and self._frames[-1][0] == pc:
            self._leave()
        bucket = self._entries.get(pc)
        if bucket is not None and len(self._frames) < _DEPTH:
            self._enter(uc.reg_read(UC_ARM_REG_LR) & ~1, bucket)
        self._counts[self.bucket, pc, size, 0] += 1
        self.executed += length
        if self.executed > self._budget:
            self.exhausted = True
            uc.emu_stop()
