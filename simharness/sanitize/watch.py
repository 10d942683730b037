# SPDX-License-Identifier: MIT
"""A run under watch: every data access compared with what the running layer may touch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from unicorn.unicorn_const import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE
from unicorn.unicorn_py3.unicorn import UcError, uclib

from simharness import native
from simharness.engines.unicorn import invoke
from simharness.engines.unicorn_count import NativeCounter
from simharness.engines.unicorn_cpu import Cpu
from simharness.errors import ToolMissingError, UsageError
from simharness.image import Image
from simharness.report.model import Sanitizer, ScratchUse, Violation
from simharness.sanitize.contract import Access, Contract, Region

_KIND_BITS: Mapping[Access, int] = {"read": 1, "write": 2, "scratch": 4}
_WORDS = (
    "writes outside its outputs and scratch",
    "reads outside its inputs",
    "reads bytes that nobody wrote",
    "reads scratch that it did not write",
    "reads input bytes that its own output has overwritten",
    "reads bytes that hold another tensor",
    "writes to memory that is no tensor's",
)
UNWRITTEN = "is left without some of its bytes at the end"


def sanitize(image: Image, values: tuple[bytes, ...], rules: Contract, *, budget: int) -> Sanitizer:
    """One inference under watch: see `watched`."""
    return watched(image, rules, lambda cpu: invoke(cpu, values, budget), budget=budget)


def watched(
    image: Image, rules: Contract, run: Callable[[Cpu], object], *, budget: int
) -> Sanitizer:
    """Let `run` call code on a booted core, under watch.

    Raises FaultError as any run, ToolMissingError where no native code can be built.
    """
    watch = Watch(Cpu(image), rules)
    watch.start(budget)
    run(watch.cpu)
    return watch.findings()


class _Region(ctypes.Structure):
    _fields_ = tuple((n, ctypes.c_uint32) for n in ("start", "end", "owner", "kind", "used"))


class _Record(ctypes.Structure):
    _fields_ = (
        *((n, ctypes.c_uint32) for n in ("bucket", "kind", "address", "pc", "expected", "owner")),
        ("count", ctypes.c_uint64),
    )


class Watch:
    """The native watcher attached to a core; attach before any code runs."""

    def __init__(self, cpu: Cpu, rules: Contract) -> None:
        if not isinstance(cpu.counter, NativeCounter):
            raise ToolMissingError(f"--sanitize needs native code: {native.reason()}")
        self._library = _library()
        self.cpu = cpu
        self._rules, self._layers = rules, cpu.image.layers
        self._owners: dict[str, int] = {}
        regions: list[_Region] = []
        first = [0, 0]
        for layer in cpu.image.layers:
            for r in rules.layers.get(layer, ()):
                owner, kind = self._owner(r.tensor), _KIND_BITS[r.access]
                regions.append(_Region(r.address, r.address + r.size_bytes, owner, kind, 0))
            first.append(len(regions))
        bottom = cpu.image.symbols.get("sim_stack_bottom")
        ends = [a + n for a, n in rules.watched if a + n <= cpu.stack_top]
        low = bottom.address if bottom else max([cpu.stack_top - rules.stack_bytes, 0, *ends])
        words = ctypes.c_uint32
        self._watcher = self._library.san_new(
            cpu.counter.bucket_address, ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p),
            ctypes.cast(uclib.uc_reg_write, ctypes.c_void_p), len(self._layers),
            (words * len(first))(*first), (_Region * max(1, len(regions)))(*regions),
            len(rules.watched), (words * len(rules.watched))(*(a for a, _ in rules.watched)),
            (words * len(rules.watched))(*(n for _, n in rules.watched)), low, cpu.stack_top,
        )  # fmt: skip
        if not self._watcher:
            raise MemoryError("no memory for the shadow of the arena")
        for r in rules.given:
            self._shadow(r)[:] = self._owner(r.tensor)
        self._hook(cpu)

    def __del__(self) -> None:
        if getattr(self, "_watcher", None):
            self._library.san_free(self._watcher)

    def _hook(self, cpu: Cpu) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            cpu.uc._uch, ctypes.byref(handle), UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE,
            ctypes.cast(self._library.san_on_access, ctypes.c_void_p),
            ctypes.c_void_p(self._watcher), ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        if status:
            raise UcError(status)

    def _owner(self, tensor: str) -> int:
        name = self._rules.same.get(tensor, tensor)
        return self._owners.setdefault(name, len(self._owners) + 1)

    def _shadow(self, region: Region) -> np.ndarray[Any, np.dtype[np.uint16]]:
        for number, (address, size) in enumerate(self._rules.watched):
            if address <= region.address and region.address + region.size_bytes <= address + size:
                owners = np.ctypeslib.as_array(
                    self._library.san_owners(self._watcher, number), (size,)
                )
                at = region.address - address
                return owners[at : at + region.size_bytes]
        raise UsageError(f"{region.tensor}: its memory is not watched")

    def start(self, budget: int) -> None:
        """Boot, and watch what is called from then on."""
        self.cpu.boot()
        self.cpu.counter.start(budget)
        self._library.san_run(self._watcher, 1)

    def findings(self) -> Sanitizer:
        """What was seen, in the order in which it happened."""
        violations = [self._violation(r, self.cpu) for r in self._records()]
        for r in self._rules.results:
            wrong = np.flatnonzero(self._shadow(r) != self._owner(r.tensor))
            if wrong.size:
                at = int(wrong[0])
                violations.append(Violation(
                    layer="(end)", what=UNWRITTEN, tensor=r.tensor, offset=at,
                    address=r.address + at, symbol="", pc=0, count=int(wrong.size),
                ))  # fmt: skip
        planned, touched = self._coverage()
        return Sanitizer(
            ok=not violations,
            violations=tuple(violations),
            planned_bytes=planned,
            untouched_bytes=planned - touched,
            scratch=tuple(self._scratch_use()),
        )

    def _records(self) -> list[_Record]:
        count = self._library.san_record_count(self._watcher)
        return [self._library.san_records(self._watcher)[i] for i in range(count)]

    def _violation(self, record: _Record, cpu: Cpu) -> Violation:
        layer = self._layers[record.bucket - 1]
        names = {number: name for name, number in self._owners.items()}
        tensor, offset = self._place(layer, record, names)
        return Violation(
            layer=layer,
            what=_WORDS[record.kind],
            tensor=tensor,
            offset=offset,
            address=record.address,
            symbol=cpu.symbol_at(record.pc),
            pc=record.pc,
            count=record.count,
            holds=names.get(record.owner, ""),
        )

    def _place(self, layer: str, record: _Record, names: Mapping[int, str]) -> tuple[str, int]:
        """The tensor that was meant, and the byte in it; outside of all, the nearest one."""
        regions = self._rules.layers.get(layer, ())
        expected = names.get(record.expected)
        for r in regions:
            if self._rules.same.get(r.tensor, r.tensor) == expected and (
                r.address <= record.address < r.address + r.size_bytes
            ):
                return r.tensor, record.address - r.address

        at = int(record.address)

        def distance(r: Region) -> int:
            return max(r.address - at, at - (r.address + r.size_bytes), 0)

        nearest = min(regions, key=distance, default=None)
        return ("", 0) if nearest is None else (nearest.tensor, record.address - nearest.address)

    def _coverage(self) -> tuple[int, int]:
        """(bytes of the arena that some layer was given, those of them that were accessed)."""
        planned = touched = 0
        for number, (address, size) in enumerate(self._rules.watched):
            given = np.zeros(size, np.bool_)
            for regions in self._rules.layers.values():
                for r in regions:
                    low, high = r.address - address, r.address - address + r.size_bytes
                    if low >= 0 and high <= size:
                        given[low:high] = True
            seen = np.ctypeslib.as_array(self._library.san_touched(self._watcher, number), (size,))
            planned += int(given.sum())
            touched += int((given & (seen != 0)).sum())
        return planned, touched

    def _scratch_use(self) -> Iterable[ScratchUse]:
        number = 0
        for layer in self._layers:
            for r in self._rules.layers.get(layer, ()):
                if r.access == "scratch":
                    used = int(self._library.san_used(self._watcher, number))
                    yield ScratchUse(layer=layer, asked_bytes=r.size_bytes, used_bytes=used)
                number += 1


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(native.build("sanitize.c")))
    words, pointer = ctypes.POINTER(ctypes.c_uint32), ctypes.c_void_p
    library.san_new.argtypes = (
        pointer, pointer, pointer, ctypes.c_uint32, words, ctypes.POINTER(_Region),
        ctypes.c_uint32, words, words, ctypes.c_uint32, ctypes.c_uint32,
    )  # fmt: skip
    library.san_new.restype = pointer
    library.san_free.argtypes = (pointer,)
    library.san_free.restype = None
    library.san_run.argtypes = (pointer, ctypes.c_int)
    library.san_run.restype = None
    library.san_record_count.argtypes = (pointer,)
    library.san_record_count.restype = ctypes.c_uint32
    library.san_records.argtypes = (pointer,)
    library.san_records.restype = ctypes.POINTER(_Record)
    library.san_used.argtypes = (pointer, ctypes.c_uint32)
    library.san_used.restype = ctypes.c_uint32
    library.san_owners.argtypes = (pointer, ctypes.c_uint32)
    library.san_owners.restype = ctypes.POINTER(ctypes.c_uint16)
    library.san_touched.argtypes = (pointer, ctypes.c_uint32)
    library.san_touched.restype = ctypes.POINTER(ctypes.c_uint8)
    return library
