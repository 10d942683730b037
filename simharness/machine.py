# SPDX-License-Identifier: MIT
"""Calls single C functions on an emulated core: for tests of kernels, experiments and benches.

    >>> import numpy as np
    >>> from simharness.machine import Machine
    >>> m = Machine("m4", {"k.c": '''
    ...     #include <stdint.h>
    ...     int32_t dot(const int8_t *a, const int8_t *b, int32_t n) {
    ...       int32_t sum = 0;
    ...       for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
    ...       return sum;
    ...     }
    ...     void twice(int8_t *x, int32_t n) { for (int32_t i = 0; i < n; i++) x[i] *= 2; }
    ... '''})
    >>> a = np.arange(4, dtype=np.int8)
    >>> m.call("dot", a, a, 4)
    14
    >>> m.call("twice", a, 4, returns=None)     # arrays are copied in, and back when changed
    >>> a
    array([0, 2, 4, 6], dtype=int8)
    >>> m.count("dot", a, a, 4).instructions > 8
    True

The headers of `runtime_c/kernels` are at hand: `#include "nn_add_s8.h"`. Every array lies between
two red zones that are checked after the call; a read-only array (`a.flags.writeable = False`) must
come back unchanged. A call costs some ten microseconds and starts from the same registers each
time.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_S0,
    UC_ARM_REG_SP,
)
from unicorn.unicorn_py3.unicorn import uclib

import runtime_c
from codegen.target import Optimize
from cycle_models.profile import Profile
from simharness import toolchain as toolchains
from simharness.engines.decode import executed
from simharness.engines.unicorn_count import RUN, profiles
from simharness.engines.unicorn_cpu import Bytes, Cpu
from simharness.errors import FaultError, UsageError
from simharness.image import Image, Memory
from simharness.toolchain import ROOMY
from simharness.toolchain.layout import ChipLike

BUDGET = 100_000_000
"""Instructions per call, unless told otherwise."""

RED_ZONE_BYTES = 32
_ZONE = bytes([0xB7]) * RED_ZONE_BYTES
_MAX_FLOATS = 16
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([A-Za-z0-9_.]+)"', re.MULTILINE)

Argument = int | float | bytes | np.generic | np.ndarray[Any, Any]
Result = Literal["int", "uint", "float"] | None


@dataclass(frozen=True, slots=True)
class Count:
    """What a call cost: whole executed blocks, instructions skipped by IT included."""

    instructions: int
    profile: Profile
    result: int | float | None
    stack_bytes: int | None


class Machine:
    """An emulated core with a program in it. Build once, call often, from one thread."""

    def __init__(
        self,
        core: str,
        program: Mapping[str, str] | Image,
        *,
        toolchain: str = "auto",
        optimize: Optimize = "speed",
        defines: Iterable[str] = (),
        chip: ChipLike | Iterable[Memory] = ROOMY,
        stack_bytes: int = 64 * 1024,
        budget: int = BUDGET,
        pure_python: bool = False,
        check_alignment: bool = True,
    ) -> None:
        """Compile `program` (file name to text) for `core`, or take an image as it is, and boot it.

        `check_alignment` finds unaligned LDM, LDRD, VLDR..., on which cores fault though
        emulators do not; it makes long calls up to 2.5 times slower. `pure_python` does without
        the native counter. Raises BuildError, UsageError, ToolMissingError.
        """
        if isinstance(program, Image):
            if program.core != core:
                raise UsageError(f"the image was built for {program.core}, not {core}")
            self.image = program
        else:
            built = toolchains.build(
                {**kernel_headers(program), **program}, core, chip, toolchain=toolchain,
                optimize=optimize, defines=tuple(defines), stack_bytes=stack_bytes, keep_all=True,
            )  # fmt: skip
            self.image = built.image
        self.budget = budget
        self._cpu = Cpu(self.image, pure_python=pure_python, check_alignment=check_alignment)
        self._cpu.boot()
        self._cpu.counter.start(budget)
        self._fresh = self._cpu.uc.context_save()
        self._hard_float = core in ("m4", "m7", "m33")
        self._heap = self._find_heap()
        self._registers = _Registers(self._cpu)
        self._addresses: dict[str, int] = {}

    def call(self, function: str, *args: Argument, returns: Result = "int", align: int = 8) -> Any:
        """Call `function` and return its result; arrays that it changed are changed.

        Ints (32 bits, also pointers) and floats (32 bits) pass by value, arrays and bytes by
        address. `align` below 8 puts every array at an address that is a multiple of it, but of no
        larger power of two. Raises FaultError for faults, a used-up budget, damage to red zones or
        read-only arrays.
        """
        words, floats, blob, arrays = self._marshal(args, align)
        cpu = self._cpu
        heap = self._heap[1]
        size = len(blob)
        heap[:size] = blob
        stacked = words[4:]
        top = cpu.stack_top - (len(stacked) * 4 + 7 & ~7)
        if stacked:
            cpu.write(top, struct.pack(f"<{len(stacked)}I", *stacked))
        cpu.uc.context_restore(self._fresh)
        self._registers.write(words[:4], floats, top, cpu.sentinel | 1)
        cpu.counter.resume(self.budget)
        cpu.emulate(self._address(function), self.budget)
        cpu.check_guards()
        if heap[:size] != blob:
            self._bring_back(function, bytes(heap[:size]), blob, arrays)
        if returns is None:
            return None
        if returns == "float" and self._hard_float:
            return self._registers.float_result()
        raw = self._registers.result()
        if returns == "float":
            return struct.unpack("<f", struct.pack("<I", raw))[0]
        return raw - (1 << 32) if returns == "int" and raw >> 31 else raw

    def count(
        self, function: str, *args: Argument, returns: Result = "int", align: int = 8
    ) -> Count:
        """Like `call`, and tell what it cost."""
        cpu = self._cpu
        cpu.counter.start(self.budget)
        cpu.paint_stack()
        result = self.call(function, *args, returns=returns, align=align)
        names = (RUN, *self.image.layers)
        parts = profiles(cpu.counter.finish(), names)
        total = merge(function, parts)
        stack = cpu.stack_bytes()
        return Count(executed((total,), self.image.code), total, result, stack)

    def read(self, symbol: str, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
        """A copy of a global variable."""
        place = self._symbol(symbol)
        return np.frombuffer(self._cpu.view(place.address, place.size_bytes).tobytes(), dtype)

    def write(self, symbol: str, data: np.ndarray[Any, Any] | bytes) -> None:
        """Overwrite (the start of) a global variable."""
        place = self._symbol(symbol)
        raw = data if isinstance(data, bytes) else data.tobytes()
        if len(raw) > place.size_bytes:
            raise UsageError(f"{symbol} has {place.size_bytes} bytes, not {len(raw)}")
        self._cpu.write(place.address, raw)

    def _symbol(self, name: str) -> Any:
        try:
            return self.image.symbols[name]
        except KeyError:
            raise UsageError(f"the program has no symbol {name!r}") from None

    def _address(self, function: str) -> int:
        address = self._addresses.get(function)
        if address is None:
            symbol = self._symbol(function)
            if symbol.kind != "func":
                raise UsageError(f"{function!r} is no function")
            address = self._addresses[function] = symbol.address
        return address

    def _find_heap(self) -> tuple[int, memoryview]:
        """Free memory for arrays: behind everything in the writable memory that has most of it."""
        used = [(s.address, s.address + s.size_bytes) for s in self.image.symbols.values()] + [
            (s.address, s.address + len(s.data)) for s in self.image.code
        ]
        best: tuple[int, Bytes] | None = None
        for region in self._cpu.regions:
            memory = region.memory
            if not memory.writable:
                continue
            inside = range(memory.origin, memory.origin + region.data.size)
            start = max((end for begin, end in used if begin in inside), default=memory.origin)
            offset = (start + 63 & ~63) - memory.origin
            if best is None or region.data.size - offset > best[1].size:
                best = memory.origin + offset, region.data[offset:]
        if best is None:
            raise UsageError("the image's machine has no writable memory")
        return best[0], memoryview(best[1])  # type: ignore[arg-type]

    def _marshal(
        self, args: tuple[Argument, ...], align: int
    ) -> tuple[list[int], list[float], bytes, list[tuple[int, Any]]]:
        """Words and floats as the procedure call standard has them, and the heap's new content."""
        words: list[int] = []
        floats: list[float] = []
        parts: list[bytes] = [_ZONE]
        arrays: list[tuple[int, Any]] = []
        base = self._heap[0]
        offset = RED_ZONE_BYTES
        for a in args:
            if isinstance(a, (np.ndarray, bytes)):
                if isinstance(a, bytes):
                    raw = a
                elif a.flags.c_contiguous:
                    raw = a.tobytes()
                else:
                    raise UsageError("arrays must be C-contiguous")
                skew = align if align < 8 else 0
                padding = (-offset) % 8 + skew
                tail = _ZONE + bytes(-(len(raw) + skew) % 8)
                parts += (_ZONE[:padding], raw, tail)
                offset += padding
                arrays.append((offset, a))
                words.append(base + offset)
                offset += len(raw) + len(tail)
            elif isinstance(a, (float, np.floating)):
                if self._hard_float:
                    floats.append(float(a))
                else:
                    words.append(struct.unpack("<I", struct.pack("<f", a))[0])
            else:
                value = int(a)
                if not -(1 << 31) <= value < 1 << 32:
                    raise UsageError(f"{value} does not fit in 32 bits")
                words.append(value & 0xFFFF_FFFF)
        if len(floats) > _MAX_FLOATS:
            raise UsageError(f"more than {_MAX_FLOATS} float arguments")
        if offset > len(self._heap[1]):
            raise UsageError(f"{offset} bytes of arrays are more than the machine's free memory")
        return words, floats, b"".join(parts), arrays

    def _bring_back(
        self, function: str, after: bytes, before: bytes, arrays: list[tuple[int, Any]]
    ) -> None:
        """Copy changed arrays out; anything else that changed is damage."""
        position = 0
        for number, (offset, a) in enumerate(arrays):
            size = len(a) if isinstance(a, bytes) else a.nbytes
            if after[position:offset] != before[position:offset]:
                raise FaultError(f"{function} wrote in front of its array number {number}")
            raw = after[offset : offset + size]
            if raw != before[offset : offset + size]:
                if isinstance(a, bytes) or not a.flags.writeable:
                    raise FaultError(f"{function} wrote to its read-only array number {number}")
                a[...] = np.frombuffer(raw, a.dtype).reshape(a.shape)
            position = offset + size
            end = position + RED_ZONE_BYTES
            if after[position:end] != before[position:end]:
                raise FaultError(f"{function} wrote behind the end of its array number {number}")
        if after[position:] != before[position:]:
            raise FaultError(f"{function} wrote behind its last array")


class _Registers:
    """Argument and result registers, written and read in one call each."""

    def __init__(self, cpu: Cpu) -> None:
        count = 6 + _MAX_FLOATS
        self._handle = cpu.uc._uch
        self._values = (ctypes.c_uint64 * count)()
        self._float_values = [
            ctypes.c_float.from_buffer(self._values, 8 * (6 + i)) for i in range(_MAX_FLOATS)
        ]
        base = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * count)(*(base + 8 * i for i in range(count)))
        names = (
            UC_ARM_REG_SP, UC_ARM_REG_LR, *(UC_ARM_REG_R0 + i for i in range(4)),
            *(UC_ARM_REG_S0 + i for i in range(_MAX_FLOATS)),
        )  # fmt: skip
        self._names = (ctypes.c_int32 * count)(*names)
        self._word = ctypes.c_uint32()
        self._float = ctypes.c_float()
        self._word_place = ctypes.byref(self._word)
        self._float_place = ctypes.byref(self._float)

    def write(self, words: list[int], floats: list[float], sp: int, lr: int) -> None:
        values = self._values
        values[0], values[1] = sp, lr
        for i, word in enumerate(words):
            values[2 + i] = word
        for place, value in zip(self._float_values, floats, strict=False):
            place.value = value
        uclib.uc_reg_write_batch(self._handle, self._names, self._pointers, 6 + len(floats))

    def result(self) -> int:
        uclib.uc_reg_read(self._handle, UC_ARM_REG_R0, self._word_place)
        return self._word.value

    def float_result(self) -> float:
        uclib.uc_reg_read(self._handle, UC_ARM_REG_S0, self._float_place)
        return self._float.value

    def program_counter(self) -> int:
        uclib.uc_reg_read(self._handle, UC_ARM_REG_PC, self._word_place)
        return self._word.value


def kernel_headers(sources: Mapping[str, str]) -> dict[str, str]:
    """Those headers of `runtime_c/kernels` that `sources` include, directly or not, by name."""
    folder = Path(runtime_c.__file__).parent / "kernels"
    found: dict[str, str] = {}
    texts = list(sources.values())
    while texts:
        for name in _INCLUDE.findall(texts.pop()):
            if name not in found and name not in sources and (folder / name).is_file():
                found[name] = (folder / name).read_text(encoding="utf-8")
                texts.append(found[name])
    return found


def merge(name: str, parts: Iterable[Profile]) -> Profile:
    """One profile of several."""
    counts: dict[tuple[int, int, int, int], int] = {}
    for part in parts:
        for b in part.blocks:
            place = (0, b.address, b.size_bytes, 0)
            counts[place] = counts.get(place, 0) + b.count
        for e in part.edges:
            place = (0, e.source, 0, e.target)
            counts[place] = counts.get(place, 0) + e.count
    return profiles(counts, (name,))[0]
