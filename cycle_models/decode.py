# SPDX-License-Identifier: MIT
"""Thumb instructions as timing models see them: class, operands, size, memory access. Decoded
once per address.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import capstone
from capstone import arm

from cycle_models.kinds import (
    ALIASES,
    BRANCHES,
    COMPARE,
    NO_RESULT,
    STORE_EXCLUSIVE,
    access_bytes,
    kind_of,
)
from cycle_models.profile import CodeImage

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_REGISTERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Instruction:
    """One decoded instruction.

    `kind` is its timing class:
    alu, shift, multiply, accumulate, long_multiply, long_accumulate, divide, bitfield, extend,
    extend_add, saturate, simd, load, store, load_double, store_double, load_multiple,
    store_multiple, branch, compare_branch, call, indirect, table, it, nop, barrier, system,
    fp_add, fp_multiply, fp_mac, fp_divide, fp_root, fp_compare, fp_convert, fp_move, fp_constant,
    fp_to_core, core_to_fp, fp_status, preload, other.

    `early` are source registers consumed a stage before the others (inline shifts, extracted
    fields); `address` those that form an address; `data` those that a store writes; `accumulator`
    the addend of a MAC. `target` is the static branch target or None. `transfers` counts 32-bit
    registers moved by a multiple. `displacement` is the immediate offset of a memory access (the
    post-index counts as 0).
    """

    address_of: int
    size: int
    kind: str
    name: str
    text: str
    reads: frozenset[str]
    writes: frozenset[str]
    address: frozenset[str]
    data: frozenset[str]
    early: frozenset[str]
    accumulator: frozenset[str]
    base: str
    indexed: bool
    writeback: bool
    displacement: int
    access_bytes: int
    transfers: int
    conditional: bool
    writes_pc: bool
    target: int | None
    sets_flags: bool
    reads_flags: bool
    shifted_operand: bool
    fp: bool
    double: bool

    @property
    def end(self) -> int:
        return self.address_of + self.size

    @property
    def wide_unaligned(self) -> bool:
        """A 32-bit encoding that crosses a word boundary."""
        return self.size == 4 and self.address_of % 4 == 2

    @property
    def literal(self) -> bool:
        """A load from the code stream, addressed by the program counter."""
        return self.base == "pc" and self.kind in ("load", "load_double")

    @property
    def is_branch(self) -> bool:
        return self.writes_pc or self.kind in BRANCHES


class Decoder:
    """Decodes blocks of one image, each address once. Holds the capstone handle and the memo."""

    def __init__(self, code: CodeImage) -> None:
        self._code = code
        self._blocks: dict[tuple[int, int], tuple[Instruction, ...]] = {}

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        """The instructions of the block at `address`. Raises KeyError when no segment holds it."""
        key = (address, size)
        if key not in self._blocks:
            self._blocks[key] = tuple(_decode(self._code.read(address, size), address))
        return self._blocks[key]


@cache
def _capstone() -> capstone.Cs:
    mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    engine = capstone.Cs(capstone.CS_ARCH_ARM, mode)
    engine.detail = True
    return engine


def disassemble(data: bytes, address: int) -> Iterator[capstone.CsInsn]:
    """Capstone's own view of a block, with operands; stops at what capstone does not know."""
    yield from _capstone().disasm(data, address)


def _decode(data: bytes, address: int) -> Iterator[Instruction]:
    at = 0
    while at < len(data):
        for raw in _capstone().disasm(data[at:], address + at):
            yield _instruction(raw)
            at += raw.size
        if at < len(data):  # capstone does not know the encoding: keep the length right and go on
            size = 4 if data[at + 1] >> 3 in (0x1D, 0x1E, 0x1F) else 2
            yield _unknown(address + at, min(size, len(data) - at))
            at += size


def _unknown(address: int, size: int) -> Instruction:
    n = NO_REGISTERS
    return Instruction(
        address, size, "other", "?", "?", n, n, n, n, n, n, "", False, False, 0, 0, 0,
        False, False, None, False, False, False, False, False,
    )  # fmt: skip


def _instruction(raw: capstone.CsInsn) -> Instruction:
    name = str(raw.insn_name())
    mnemonic = str(raw.mnemonic)
    if name == "hint":
        name = mnemonic.removesuffix(".w")
    name = ALIASES.get(name, name)
    kind = kind_of(raw, name)
    registers = [
        (_expand(raw.reg_name(o.reg)), o) for o in raw.operands if o.type == arm.ARM_OP_REG
    ]
    memory = next((o.mem for o in raw.operands if o.type == arm.ARM_OP_MEM), None)
    immediates = [o.imm for o in raw.operands if o.type == arm.ARM_OP_IMM]
    shifted = any(o.shift.type != 0 for _, o in registers) and kind != "shift"
    conditional = raw.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID) and kind not in ("branch", "it")

    reads: set[str] = set()
    writes: set[str] = set()
    early: set[str] = set()
    address: set[str] = set()
    data: set[str] = set()
    accumulator: set[str] = set()
    base, indexed, displacement = "", False, 0
    if memory is not None:
        base = raw.reg_name(memory.base) or ""
        address |= {base} if base else set()
        if memory.index:
            address.add(raw.reg_name(memory.index))
            indexed = True
        displacement = memory.disp
    transfers = 0
    if kind in ("load_multiple", "store_multiple"):
        transfers = _multiple(raw, name, kind, registers, reads, writes, address, data)
        base = next(iter(address), "")
    elif kind in ("store", "store_double") and name not in STORE_EXCLUSIVE:
        for names, _ in registers:
            data |= names
    else:
        _roles(raw, name, kind, registers, reads, writes, early, accumulator)
        if name in STORE_EXCLUSIVE and len(registers) > 1:
            data |= registers[1][0]
    reads |= address | data
    writeback = bool(raw.writeback) or name in ("push", "pop", "vpush", "vpop")
    if writeback and base:
        writes.add(base)
    if kind in ("load_double", "store_double"):
        transfers = 2
    pc = "pc" in writes
    writes.discard("pc")
    target = immediates[-1] if kind in ("branch", "compare_branch", "call") and immediates else None
    if kind == "call":
        writes.add("lr")
    access = access_bytes(name, kind)
    if name in ("vldr", "vstr") and len(registers[0][0]) == 2:
        access, transfers = 8, 2
    fp = name.startswith(("v", "f")) and kind.startswith(("fp", "core", "load", "store"))
    sets_flags = bool(raw.update_flags) and kind != "simd"
    reads_flags = conditional or (kind == "branch" and raw.cc != arm.ARM_CC_AL) or name in (
        "adc", "sbc", "rsc", "rrx", "sel")  # fmt: skip
    return Instruction(
        address_of=int(raw.address),
        size=int(raw.size),
        kind=kind,
        name=name,
        text=f"{mnemonic} {raw.op_str}".strip(),
        reads=frozenset(reads - {"pc"}),
        writes=frozenset(writes),
        address=frozenset(address - {"pc"}),
        data=frozenset(data),
        early=frozenset(early - {"pc"}),
        accumulator=frozenset(accumulator),
        base=base,
        indexed=indexed,
        writeback=writeback,
        displacement=displacement,
        access_bytes=access,
        transfers=transfers,
        conditional=conditional,
        writes_pc=pc or kind in ("branch", "call", "indirect", "table", "compare_branch"),
        target=target,
        sets_flags=sets_flags,
        reads_flags=reads_flags,
        shifted_operand=shifted or (mnemonic != "movw" and _shifted_constant(kind, immediates)),
        fp=fp,
        double=".f64" in mnemonic or (access == 8 and fp),
    )


def _expand(name: str) -> frozenset[str]:
    """The 32-bit registers that a register name covers."""
    if name[0] == "d" and name[1:].isdigit():
        n = int(name[1:])
        return frozenset({f"s{2 * n}", f"s{2 * n + 1}"})
    return frozenset({name})


_Registers = list[tuple[frozenset[str], arm.ArmOp]]


def _multiple(
    raw: capstone.CsInsn,
    name: str,
    kind: str,
    registers: _Registers,
    reads: set[str],
    writes: set[str],
    address: set[str],
    data: set[str],
) -> int:
    listed = registers
    if name in ("push", "pop", "vpush", "vpop"):
        address.add("sp")
    else:
        address |= registers[0][0]
        listed = registers[1:]
    moved: set[str] = set()
    for names, _ in listed:
        moved |= names
    (writes if kind == "load_multiple" else data).update(moved)
    return len(moved)


def _roles(
    raw: capstone.CsInsn,
    name: str,
    kind: str,
    registers: _Registers,
    reads: set[str],
    writes: set[str],
    early: set[str],
    accumulator: set[str],
) -> None:
    """Sort register operands into destinations and sources; capstone's own access flags have
    gaps.
    """
    two = kind in ("long_multiply", "long_accumulate", "load_double")
    to_core = kind == "fp_to_core" and len(registers) == 3
    first = 2 if two or to_core else 1
    if kind == "core_to_fp" and len(registers) == 4:  # two single registers from two core registers
        first = 2
    if name in COMPARE or kind in NO_RESULT:
        first = 0
    if kind == "indirect" and name in ("add", "sub", "mov"):
        first = 1
    for i, (names, operand) in enumerate(registers):
        if i < first:
            writes |= names
            if (
                operand.access == 3
                or name in ("movt", "bfi", "bfc")
                or kind in ("fp_mac", "long_accumulate")
            ):
                reads |= names
        else:
            reads |= names
            if operand.shift.type != 0 and kind in ("alu", "saturate"):
                early |= names
    if kind == "accumulate" and len(registers) == 4:
        accumulator |= registers[3][0]
    elif kind in ("long_accumulate", "fp_mac"):
        for names, _ in registers[:first]:
            accumulator |= names
    elif kind == "extend_add" and len(registers) == 3:
        accumulator |= registers[1][0]
        early |= registers[2][0]
    elif name in ("ubfx", "sbfx", "rbit", "rev", "rev16", "revsh", "bfi") and len(registers) > 1:
        early |= registers[1][0]
    elif name in ("pkhbt", "pkhtb") and len(registers) == 3:
        early |= registers[2][0]
        if name == "pkhtb":
            early |= registers[1][0]
    if kind == "fp_status" and any("apsr_nzcv" in names for names, _ in registers):
        reads.clear()
    reads -= {"apsr_nzcv", "fpscr"}


def _shifted_constant(kind: str, immediates: list[int]) -> bool:
    """Whether the last immediate of a data-processing instruction is a shifted 8-bit value."""
    if kind != "alu" or not immediates:
        return False
    value = immediates[-1] & 0xFFFFFFFF
    if value <= 0xFFF:
        return False
    low, high = value & 0xFF, value >> 8 & 0xFF
    pattern = value in (low | low << 16, high << 8 | high << 24, low * 0x01010101)
    return not pattern and value <= 0xFFFFFFFF and (value >> (_trailing_zeros(value))) <= 0xFF


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1
