# SPDX-License-Identifier: MIT
"""Memory mode: one inference in Unicorn whose fetches and data accesses feed the memory simulator.

Zero-wait cycles come from counts, as always; this adds the stalls of memories that are slower. The
addresses of accesses are told from the registers at each block's entry (cycle_models.addresses),
without Unicorn's memory hooks, which cost ten times as much and upset IT blocks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from unicorn.unicorn_const import UC_HOOK_BLOCK
from unicorn.unicorn_py3.unicorn import Uc, UcError, uclib

from cycle_models import memory
from cycle_models.core import Core
from cycle_models.feed import PlanFunction, planner
from cycle_models.memory import MemorySystem, Totals, declare, stalls_of
from cycle_models.profile import CodeImage
from cycle_models.timing import MemoryStalls
from simharness import native
from simharness.engines.unicorn import invoke
from simharness.engines.unicorn_count import RUN, Counter, NativeCounter
from simharness.engines.unicorn_cpu import Cpu, Region
from simharness.errors import ToolMissingError
from simharness.image import Image


def memory_stalls(
    image: Image,
    values: tuple[bytes, ...],
    system: MemorySystem,
    core: Core,
    *,
    budget: int,
) -> Mapping[str, MemoryStalls]:
    """The stalls of one inference from cold caches, by layer name, and "(run)" for the rest.

    Raises FaultError as any run, ToolMissingError where no native library can be built.
    """
    cpu = Cpu(image)
    feed = Feed(cpu, system, core)
    cpu.boot()
    cpu.counter.start(budget)
    feed.run(True)
    invoke(cpu, values, budget)
    feed.run(False)
    return feed.stalls()


class Coded(Protocol):
    """What the feed asks of an image."""

    @property
    def code(self) -> CodeImage: ...
    @property
    def layers(self) -> tuple[str, ...]: ...


class Emulated(Protocol):
    """What the feed asks of an emulated machine."""

    @property
    def uc(self) -> Uc: ...
    @property
    def counter(self) -> Counter: ...
    @property
    def regions(self) -> tuple[Region, ...]: ...
    @property
    def image(self) -> Coded: ...


_BLOCKS = 1 << 16
"""Blocks that can be told apart; what is beyond counts together."""


class Feed:
    """The simulator attached to an emulated core. Attach before any code runs.

    It adds up by layer, or with `by_block` by executed block, for images whose functions are known
    only afterwards.
    """

    def __init__(
        self, cpu: Emulated, system: MemorySystem, core: Core, *, by_block: bool = False
    ) -> None:
        if not isinstance(cpu.counter, NativeCounter):
            raise ToolMissingError(f"memory mode needs the native counter: {native.reason()}")
        self._library = _library()
        self._system = system
        self._names = (RUN, *cpu.image.layers)
        self._blocks: list[tuple[int, int]] = [(0, 0)]
        buckets = _BLOCKS if by_block else len(self._names)
        self._sim = self._library.ms_new(ctypes.byref(system.config), buckets)
        fill = planner(cpu.image.code, core)

        def plan(pc: int, size: int, into: Any) -> None:
            fill(pc, size, into.contents)
            if by_block:
                into.contents.bucket = len(self._blocks) if len(self._blocks) < _BLOCKS else 0
                self._blocks.append((pc, size))

        self._plan = PlanFunction(plan)
        self._feed = self._library.ms_feed_new(
            self._sim, cpu.counter.bucket_address, self._plan,
            ctypes.cast(uclib.uc_reg_read_batch, ctypes.c_void_p),
        )  # fmt: skip
        if not self._sim or not self._feed:
            raise MemoryError("no memory for the memory simulator")
        self._hook(cpu, UC_HOOK_BLOCK, self._library.ms_on_block, 1, 0)
        for region in cpu.regions:
            host = region.data.ctypes.data
            if not self._library.ms_feed_host(
                self._feed, region.memory.origin, region.data.size, host
            ):
                raise MemoryError(f"too many memories: {len(cpu.regions)}")
        self._cpu = cpu  # whose memories the feed reads

    def __del__(self) -> None:
        if getattr(self, "_feed", None):
            self._library.ms_feed_free(self._feed)
        if getattr(self, "_sim", None):
            self._library.ms_free(self._sim)

    def _hook(self, cpu: Emulated, kind: int, function: Any, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            cpu.uc._uch, ctypes.byref(handle), kind, ctypes.cast(function, ctypes.c_void_p),
            ctypes.c_void_p(self._feed), ctypes.c_uint64(begin), ctypes.c_uint64(end),
        )  # fmt: skip
        if status:
            raise UcError(status)

    def run(self, running: bool) -> None:
        """Start or stop taking events."""
        self._library.ms_feed_run(self._feed, int(running))

    def now(self) -> float:
        """Modelled core cycles so far."""
        return float(self._library.ms_now(self._sim)) / memory.FINE

    def unseen_share(self) -> float:
        """The share of data accesses whose address could not be told."""
        return float(self._library.ms_feed_unseen(self._feed))

    def totals(self) -> dict[str, Totals]:
        """What the simulator added up so far, by layer."""
        if not self._library.ms_feed_ok(self._feed):
            raise MemoryError("no memory for the memory simulator")
        return {
            name: self._library.ms_result(self._sim, bucket).contents
            for bucket, name in enumerate(self._names)
        }

    def snapshot(self) -> tuple[Totals, ...]:
        """Copies of what was added up so far, by block in the order of `blocks`."""
        all_of_them = Totals * min(len(self._blocks), _BLOCKS)
        first = ctypes.cast(self._library.ms_result(self._sim, 0), ctypes.POINTER(all_of_them))
        return tuple(all_of_them.from_buffer_copy(first.contents))

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Address and size of each block met so far; the first stands for what found no room."""
        return tuple(self._blocks[:_BLOCKS])

    def stalls(self) -> dict[str, MemoryStalls]:
        """The stalls found so far, by layer."""
        return {name: stalls_of(self._system, t) for name, t in self.totals().items()}


@cache
def _library() -> ctypes.CDLL:
    library = declare(ctypes.CDLL(str(native.build(str(memory.SOURCE)))))
    library.ms_feed_new.argtypes = (
        ctypes.c_void_p, ctypes.c_void_p, PlanFunction, ctypes.c_void_p,
    )  # fmt: skip
    library.ms_feed_new.restype = ctypes.c_void_p
    library.ms_feed_free.argtypes = (ctypes.c_void_p,)
    library.ms_feed_free.restype = None
    library.ms_feed_run.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.ms_feed_run.restype = None
    library.ms_feed_host.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p,
    )  # fmt: skip
    library.ms_feed_host.restype = ctypes.c_int
    library.ms_feed_unseen.argtypes = (ctypes.c_void_p,)
    library.ms_feed_unseen.restype = ctypes.c_double
    library.ms_feed_ok.argtypes = (ctypes.c_void_p,)
    library.ms_feed_ok.restype = ctypes.c_int
    return library
