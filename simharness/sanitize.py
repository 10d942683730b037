# SPDX-License-Identifier: MIT
"""The dynamic check of a memory plan: every byte of the arena knows which tensor it holds.

A run under watch convicts a layer that reads a byte which is dead, uninitialized, another tensor's
or already overwritten by its own output, and one that writes anything but its outputs and scratch.
In-place and overlapped kernels are held to the same rules. What a layer may touch comes from the
emitted program (`contract`), or for any other ELF from a file of regions (`read_contract`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from unicorn.unicorn_const import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE
from unicorn.unicorn_py3.unicorn import UcError, uclib

from codegen.build import Compiled
from codegen.emit import render
from codegen.emit.program import Arena, Argument
from simharness import native
from simharness.engines.unicorn import invoke
from simharness.engines.unicorn_count import NativeCounter
from simharness.engines.unicorn_cpu import Cpu
from simharness.errors import ToolMissingError, UsageError
from simharness.firmware import GUARD_BYTES
from simharness.image import Image
from simharness.report.model import Sanitizer, ScratchUse, Violation

Access = Literal["read", "write", "scratch"]
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
RED_ZONE_BYTES = 64
UNWRITTEN = "is left without some of its bytes at the end"


@dataclass(frozen=True, slots=True)
class Region:
    """`size_bytes` at `address` that a layer may access; `tensor` is what they hold."""

    tensor: str
    address: int
    size_bytes: int
    access: Access


@dataclass(frozen=True, slots=True)
class Contract:
    """Regions by layer symbol; memory under watch (address, size); what holds tensors before and
    after the run. `same` maps a tensor to the one whose bytes it is (views, joins, cuts)."""

    layers: Mapping[str, tuple[Region, ...]]
    watched: tuple[tuple[int, int], ...]
    given: tuple[Region, ...]
    results: tuple[Region, ...]
    same: Mapping[str, str]


def contract(compiled: Compiled, image: Image) -> Contract:
    """What each layer of a generated program may touch, from the program's own calls."""
    program = compiled.program
    arenas = {arena.memory for arena in program.arenas}

    def place(argument: Argument) -> int:
        symbol = f"{program.name}_{argument.memory}"
        if argument.memory not in arenas:
            symbol = argument.memory.replace("output", "sim_out").replace("input", "sim_in")
        return image.symbols[symbol].address + argument.offset

    def regions(arguments: Iterable[Argument], access: Access, scratch: str) -> list[Region]:
        return [Region(a.tensor or scratch, place(a), a.size_bytes, access) for a in arguments]

    layers = {
        layer.symbol: tuple(
            regions(layer.inputs, "read", "")
            + regions(layer.outputs, "write", "")
            + regions([layer.scratch] if layer.scratch else [], "scratch", f"{layer.node} scratch")
        )
        for layer in program.layers
    }
    graph = compiled.graph
    watched = [
        (image.symbols[f"{program.name}_{a.memory}"].address - GUARD_BYTES,
         a.size_bytes + 2 * GUARD_BYTES)
        for a in program.arenas
        if f"{program.name}_{a.memory}" in image.symbols
    ]  # fmt: skip
    ports: dict[str, list[Region]] = {"sim_in": [], "sim_out": []}
    for prefix, names in (("sim_in", graph.inputs), ("sim_out", graph.outputs)):
        for number, name in enumerate(names):
            symbol = image.symbols[f"{prefix}{number}"]
            watched.append((symbol.address, symbol.size_bytes))
            ports[prefix].append(Region(name, symbol.address, symbol.size_bytes, "write"))
    return Contract(
        layers, tuple(watched), tuple(ports["sim_in"]), tuple(ports["sim_out"]), _views(compiled)
    )


def _views(compiled: Compiled) -> dict[str, str]:
    """Tensors joined by nodes that need no code hold the same bytes."""
    graph = compiled.graph
    parent: dict[str, str] = {}

    def find(t: str) -> str:
        while t in parent:
            t = parent[t]
        return t

    for number in compiled.plan.elided:
        node = graph.nodes[number]
        activations = [t for t in node.inputs if t and graph.tensors[t].data is None]
        first, *others = (*activations, *node.outputs)
        for other in others:
            a, b = find(first), find(other)
            if a != b:
                parent[b] = a
    return {t: find(t) for t in parent}


def spread(compiled: Compiled) -> Compiled:
    """The same program with every tensor in a place of its own, red zones between them.

    As planned, a kernel that reads beside its input may hit another of its inputs and go unseen;
    here it hits a red zone.
    """
    same = _views(compiled)
    program = compiled.program
    arenas = {arena.memory for arena in program.arenas}
    arguments = [a for y in program.layers for a in y.arguments if a.memory in arenas]
    scratch = {id(y.scratch): f"{y.node} scratch" for y in program.layers if y.scratch}

    def owner(a: Argument) -> str:
        return scratch.get(id(a)) or same.get(a.tensor, a.tensor)

    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for a in arguments:
        low[owner(a)] = min(low.get(owner(a), a.offset), a.offset)
        high[owner(a)] = max(high.get(owner(a), 0), a.offset + a.size_bytes)
    base: dict[str, int] = {}
    end = RED_ZONE_BYTES
    for name in low:
        start = end + low[name] % 8  # a view may begin where 8 does not divide
        base[name] = start
        end = -(-(start + high[name] - low[name]) // 8) * 8 + RED_ZONE_BYTES

    def moved(a: Argument) -> Argument:
        if a.memory not in arenas:
            return a
        offset = base[owner(a)] + a.offset - low[owner(a)]
        return replace(a, memory="arena", offset=offset)

    layers = tuple(
        replace(
            y,
            inputs=tuple(map(moved, y.inputs)),
            outputs=tuple(map(moved, y.outputs)),
            scratch=moved(y.scratch) if y.scratch else None,
        )
        for y in program.layers
    )
    apart = replace(program, layers=layers, arenas=(Arena("arena", end),) if arguments else ())
    plan = replace(compiled.plan, banks=())
    return replace(compiled, plan=plan, program=apart, sources=render(apart))


class _FileRegion(msgspec.Struct, forbid_unknown_fields=True):
    tensor: str
    size: int
    symbol: str = ""
    offset: int = 0
    address: int = 0


class _FileLayer(msgspec.Struct, forbid_unknown_fields=True):
    function: str
    reads: list[_FileRegion] = []
    writes: list[_FileRegion] = []
    scratch: list[_FileRegion] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    layers: list[_FileLayer]
    watched: list[_FileRegion]
    given: list[_FileRegion] = []
    results: list[_FileRegion] = []


def read_contract(path: str | Path, image: Image) -> Contract:
    """A contract for any ELF, from JSON.

    `{"watched": [region...], "layers": [{"function": NAME, "reads": [...], "writes": [...],
    "scratch": [...]}...], "given": [...], "results": [...]}` with regions
    `{"tensor": NAME, "symbol": NAME, "offset": 0, "size": BYTES}`, or `"address"` for `"symbol"`.
    Raises UsageError naming the file and what is wrong.
    """
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=_File)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}: not a memory contract: {error}") from error

    def region(r: _FileRegion, access: Access) -> Region:
        base = r.address
        if r.symbol:
            if r.symbol not in image.symbols:
                raise UsageError(f"{path}: the ELF has no symbol {r.symbol!r}")
            base = image.symbols[r.symbol].address
        return Region(r.tensor, base + r.offset, r.size, access)

    layers = {
        layer.function: tuple(
            [region(r, "read") for r in layer.reads]
            + [region(r, "write") for r in layer.writes]
            + [region(r, "scratch") for r in layer.scratch]
        )
        for layer in found.layers
    }
    return Contract(
        layers,
        tuple((r.address, r.size_bytes) for r in (region(w, "read") for w in found.watched)),
        tuple(region(r, "write") for r in found.given),
        tuple(region(r, "write") for r in found.results),
        {},
    )


def sanitize(image: Image, values: tuple[bytes, ...], rules: Contract, *, budget: int) -> Sanitizer:
    """Run one inference under watch.

    Raises FaultError as any run, ToolMissingError where no native code can be built.
    """
    cpu = Cpu(image)
    watch = _Watch(cpu, rules)
    cpu.boot()
    cpu.counter.start(budget)
    watch.run(True)
    invoke(cpu, values, budget)
    watch.run(False)
    return watch.findings(cpu)


class _Region(ctypes.Structure):
    _fields_ = tuple((n, ctypes.c_uint32) for n in ("start", "end", "owner", "kind", "used"))


class _Record(ctypes.Structure):
    _fields_ = (
        *((n, ctypes.c_uint32) for n in ("bucket", "kind", "address", "pc", "expected", "owner")),
        ("count", ctypes.c_uint64),
    )


class _Watch:
    """The native watcher attached to a core; attach before any code runs."""

    def __init__(self, cpu: Cpu, rules: Contract) -> None:
        if not isinstance(cpu.counter, NativeCounter):
            raise ToolMissingError(f"--sanitize needs native code: {native.reason()}")
        self._library = _library()
        self._rules, self._layers = rules, cpu.image.layers
        self._owners: dict[str, int] = {}
        regions: list[_Region] = []
        first = [0, 0]
        for layer in cpu.image.layers:
            for r in rules.layers.get(layer, ()):
                owner, kind = self._owner(r.tensor), _KIND_BITS[r.access]
                regions.append(_Region(r.address, r.address + r.size_bytes, owner, kind, 0))
            first.append(len(regions))
        symbols = cpu.image.symbols
        low = symbols["sim_stack_bottom"].address if "sim_stack_bottom" in symbols else 0
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

    def run(self, running: bool) -> None:
        self._library.san_run(self._watcher, int(running))

    def findings(self, cpu: Cpu) -> Sanitizer:
        """What was seen, in the order in which it happened."""
        violations = [self._violation(r, cpu) for r in self._records()]
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
