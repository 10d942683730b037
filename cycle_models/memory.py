# SPDX-License-Identifier: MIT
"""A chip's memories as the native simulator wants them: wait states, caches, prefetch, regions.

The chip file says which store (flash array, bus, external device) answers for which memory, which
caches stand in between, and what everything costs; wait states follow the clock by table.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from ctypes import Structure, c_int32, c_int64, c_uint32, c_uint64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cycle_models.chip import Chip
from cycle_models.errors import MachineError
from cycle_models.machine_file import Table, integer_of, number_of
from cycle_models.timing import Interval, MemoryStalls

SOURCE = Path(__file__).parent / "native" / "memsim_unicorn.c"
"""The simulator with hooks of Unicorn's signature: one C99 file that includes the others."""

FINE = 16
"""The simulator's clock ticks per core cycle."""

_NONE = 0xFFFFFFFF
_REGIONS, _CACHES, _STORES = 16, 4, 8


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the stalls of a chip's model may be off: factors on the mid value.

    `scale` is what calibration found that the simulated stalls have to be multiplied with.
    """

    low: float
    high: float
    status: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class MemorySystem:
    """The memories of a chip at a clock: what the simulator is configured with, and how sure it is.

    `wait_states` is None when the chip has no table.
    """

    chip: str
    clock_hz: int
    wait_states: int | None
    config: Config
    spread: Spread


class _Cache(Structure):
    _fields_ = tuple(
        (n, c_uint32)
        for n in ("line_bytes", "sector_bytes", "ways", "sets", "random", "write_allocate")
    )


class _Store(Structure):
    _fields_ = tuple(
        (n, c_uint32)
        for n in (
            "first", "beat", "beat_bytes", "sequential", "write", "write_slack", "occupancy",
            "prefetch", "external",
        )
    )  # fmt: skip


class _Region(Structure):
    _fields_ = (
        *((n, c_uint32) for n in ("origin", "size", "store", "fetch_cache", "data_cache", "jump")),
        ("data", c_int32),
        ("bus", c_uint32),
    )


class Config(Structure):
    """`ms_config` of memsim.h."""

    _fields_ = (
        ("region_count", c_uint32),
        ("cache_count", c_uint32),
        ("store_count", c_uint32),
        ("bus_change", c_uint32),
        ("regions", _Region * _REGIONS),
        ("caches", _Cache * _CACHES),
        ("stores", _Store * _STORES),
    )


class Cost(Structure):
    """`ms_cost` of memsim.h."""

    _fields_ = (("core", c_uint32), ("accesses", c_uint32), ("chained", c_uint32 * 4))

    def fill(self, cycles: float, chained: Sequence[bool]) -> None:
        """The zero-wait cycles of a block, and per data access whether it overlaps the last."""
        self.core = round(FINE * cycles)
        self.accesses = len(chained)
        words = [0] * 4
        for k, overlaps in enumerate(chained[:128]):
            words[k // 32] |= overlaps << k % 32
        self.chained = (c_uint32 * 4)(*words)


class Totals(Structure):
    """`ms_totals` of memsim.h; times in sixteenths of a cycle."""

    _fields_ = tuple(
        (n, c_int64)
        for n in (
            "core", "fetch", "data", "external", "fetch_reads", "data_reads", "data_writes",
            "fetch_misses", "read_misses", "write_misses", "unaligned", "reads",
        )
    )  # fmt: skip


def wait_states(chip: Chip, clock_hz: int) -> int | None:
    """Flash wait states of `chip` at `clock_hz`, by its table; None when it has none.

    Raises MachineError when the clock is beyond the table.
    """
    table = chip.table.get("wait_states")
    if table is None:
        return None
    upper = table["upper_hz"]
    for states, limit in enumerate(upper):
        if clock_hz <= limit:
            return states
    raise MachineError(
        f"{chip.name} has no wait states for {clock_hz} Hz; its table ends at {upper[-1]} Hz "
        f"({table['source']})"
    )


def memory_system(
    chip: Chip,
    *,
    clock_hz: int | None = None,
    disabled: frozenset[str] = frozenset(),
    wait: int | None = None,
) -> MemorySystem:
    """The memory system of `chip` at `clock_hz` (its default clock if None).

    `disabled` switches caches (by name) and "prefetch" off, as firmware may; `wait` overrides the
    wait states of the table. Raises MachineError when the chip file contradicts itself.
    """
    clock = clock_hz or chip.clock_default_hz
    states = wait if wait is not None else wait_states(chip, clock)
    config = Config()
    caches = _index(chip, "cache", _CACHES)
    stores = _index(chip, "store", _STORES)
    for name, i in caches.items():
        config.caches[i] = _cache(chip, name)
    for name, i in stores.items():
        config.stores[i] = _store(chip, name, states or 0, "prefetch" in disabled)
    config.cache_count, config.store_count = len(caches), len(stores)
    buses = {"": 0}
    config.bus_change = round(FINE * chip.table.get("bus_change", {}).get("cycles", 0))
    for name, table in chip.table.get("region", {}).items():
        region = config.regions[config.region_count]
        if "origin" in table:
            region.origin = integer_of(chip.path, table, "origin", f"region.{name}")
            region.size = integer_of(chip.path, table, "size_bytes", f"region.{name}")
        else:
            memory = chip.memory(name)
            region.origin, region.size = memory.origin, memory.size_bytes
        region.store = _reference(chip, name, table, "store", stores)
        region.fetch_cache = _reference(chip, name, table, "fetch_cache", caches, disabled)
        region.data_cache = _reference(chip, name, table, "data_cache", caches, disabled)
        jump = table.get("jump_cycles", 0) + table.get("jump_wait_states", 0) * (states or 0)
        region.jump = 0 if region.fetch_cache != _NONE else round(FINE * jump)
        region.data = round(FINE * table.get("data_cycles", 0))
        region.bus = buses.setdefault(table.get("bus", ""), len(buses))
        config.region_count += 1
    return MemorySystem(
        chip=chip.name,
        clock_hz=clock,
        wait_states=states,
        config=config,
        spread=_spread(chip),
    )


def _index(chip: Chip, section: str, most: int) -> dict[str, int]:
    names = list(chip.table.get(section, {}))
    if len(names) > most:
        raise MachineError(f"{chip.path}: at most {most} [{section}.NAME] tables, has {len(names)}")
    return {name: i for i, name in enumerate(names)}


def _reference(
    chip: Chip,
    region: str,
    table: Table,
    key: str,
    known: Mapping[str, int],
    disabled: frozenset[str] = frozenset(),
) -> int:
    name = table.get(key, "")
    if name == "" or name in disabled:
        return _NONE
    if name not in known:
        raise MachineError(f"{chip.path}: region.{region}.{key} names nothing: {name!r}")
    return int(known[name])


def _cache(chip: Chip, name: str) -> _Cache:
    table: Table = chip.table["cache"][name]
    where = f"cache.{name}"
    lines = int(number_of(chip.path, table, "lines", where))
    ways = int(number_of(chip.path, table, "ways", where))
    line_bytes = int(number_of(chip.path, table, "line_bytes", where))
    if ways < 1 or lines % ways:
        raise MachineError(f"{chip.path}: {where}: {lines} lines do not divide into {ways} ways")
    return _Cache(
        line_bytes,
        int(table.get("sector_bytes", line_bytes)),
        ways,
        lines // ways,
        int(table.get("replacement", "lru") == "random"),
        int(table.get("write_allocate", False)),
    )


def _store(chip: Chip, name: str, states: int, no_prefetch: bool) -> _Store:
    table: Table = chip.table["store"][name]

    def cycles(key: str, default: float = 0.0) -> int:
        base = float(table.get(f"{key}_cycles", default))
        per_wait_state = float(table.get(f"{key}_per_wait_state", 0.0))
        return round(FINE * (base + per_wait_state * states))

    first = cycles("first")
    return _Store(
        first,
        cycles("beat"),
        int(number_of(chip.path, table, "beat_bytes", f"store.{name}")),
        cycles("sequential"),
        cycles("write"),
        cycles("write_slack"),
        cycles("occupancy") if first else 0,  # a memory that answers at once is never busy
        int(bool(table.get("prefetch", False)) and not no_prefetch and states > 0),
        int(bool(table.get("external", False))),
    )


def _spread(chip: Chip) -> Spread:
    table: dict[str, Any] = chip.table.get("memory_model", {})
    return Spread(
        low=float(table.get("low", 0.7)),
        high=float(table.get("high", 1.4)),
        status=table.get("status", "assumed"),
        scale=float(table.get("scale", 1.0)),
    )


def added(some: Iterable[Totals], *, less: Iterable[Totals] = ()) -> Totals:
    """The sum of several totals, less that of others."""
    total = Totals()
    for sign, found in ((1, some), (-1, less)):
        for t in found:
            for name, *_ in Totals._fields_:
                setattr(total, name, getattr(total, name) + sign * getattr(t, name))
    return total


def stalls_of(system: MemorySystem, totals: Totals) -> MemoryStalls:
    """The stall cycles in what the simulator added up, with the interval of the chip's model."""
    spread = system.spread

    def interval(ticks: int) -> Interval:
        cycles = spread.scale * ticks / FINE
        return Interval(cycles * spread.low, cycles, cycles * spread.high)

    return MemoryStalls(
        fetch=interval(totals.fetch),
        data=interval(totals.data),
        external=interval(totals.external),
        assumed_share=1.0 if spread.status == "assumed" else 0.0,
        unaligned=totals.unaligned,
        reads=totals.reads,
    )


class Simulator:
    """The native simulator on its own: events go in, stalls come out. For tests and tools."""

    def __init__(self, library: ctypes.CDLL, system: MemorySystem, buckets: int = 1) -> None:
        self._library = declare(library)
        self._pointer = library.ms_new(ctypes.byref(system.config), buckets)
        if not self._pointer:
            raise MachineError(f"{system.chip}: the memory simulator refuses the configuration")

    def __del__(self) -> None:
        if getattr(self, "_pointer", None):
            self._library.ms_free(self._pointer)

    def block(self, pc: int, size: int, core_cycles: float, chained: Sequence[bool] = ()) -> None:
        """A block with so many zero-wait cycles; `chained` has one entry per data access."""
        cost = Cost()
        cost.fill(core_cycles, chained)
        self._library.ms_block(self._pointer, pc, size, ctypes.byref(cost))

    def access(self, address: int, size: int, *, write: bool = False) -> None:
        self._library.ms_access(self._pointer, address, size, int(write))

    def now(self) -> float:
        """Core cycles up to the end of the last block."""
        return float(self._library.ms_now(self._pointer)) / FINE

    def totals(self, bucket: int = 0) -> Totals:
        found: Totals = self._library.ms_result(self._pointer, bucket).contents
        return found


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give the functions of a built simulator their types."""
    library.ms_new.argtypes = (ctypes.POINTER(Config), c_uint32)
    library.ms_new.restype = ctypes.c_void_p
    library.ms_free.argtypes = (ctypes.c_void_p,)
    library.ms_free.restype = None
    library.ms_reset.argtypes = (ctypes.c_void_p,)
    library.ms_reset.restype = None
    library.ms_bucket.argtypes = (ctypes.c_void_p, c_uint32)
    library.ms_bucket.restype = None
    library.ms_block.argtypes = (ctypes.c_void_p, c_uint32, c_uint32, ctypes.POINTER(Cost))
    library.ms_block.restype = None
    library.ms_access.argtypes = (ctypes.c_void_p, c_uint32, c_uint32, ctypes.c_int)
    library.ms_access.restype = None
    library.ms_now.argtypes = (ctypes.c_void_p,)
    library.ms_now.restype = c_uint64
    library.ms_result.argtypes = (ctypes.c_void_p, c_uint32)
    library.ms_result.restype = ctypes.POINTER(Totals)
    return library
