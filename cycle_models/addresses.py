# SPDX-License-Identifier: MIT
"""Which addresses a block of code accesses, as a small program over the registers it starts with.

A memory hook costs an emulator ten times its speed. Most addresses follow from the registers at the
block's entry by a few additions, so the native feed reads those registers once per block and runs
this program instead: the integer instructions that addresses depend on, and one entry per data
access. An address that depends on anything else (a flag, a multiply of 64 bits, a coprocessor) is
left out and counted as unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

import capstone
from capstone import arm

from cycle_models.decode import Decoder, Instruction, disassemble
from cycle_models.profile import CodeImage

Kind = Literal[
    "add", "sub", "and", "or", "xor", "multiply", "shift_right", "shift_right_signed", "extend",
    "constant", "reverse", "load", "read", "write",
]  # fmt: skip
KINDS: tuple[Kind, ...] = (
    "add", "sub", "and", "or", "xor", "multiply", "shift_right", "shift_right_signed", "extend",
    "constant", "reverse", "load", "read", "write",
)  # fmt: skip
_NONE = 15
"""The register that reads as zero here: the program counter never forms an address by itself."""

_REGISTERS = {f"r{i}": i for i in range(13)} | {
    "sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14,
}  # fmt: skip
_MEMORY = frozenset(
    ("load", "store", "load_double", "store_double", "load_multiple", "store_multiple")
)
_SIGNED = {"ldrsb": 1, "ldrsh": 2, "sxtb": 1, "sxth": 2}
_PLAIN: dict[str, Kind] = {"add": "add", "sub": "sub", "and": "and", "orr": "or", "eor": "xor"}


@dataclass(frozen=True, slots=True)
class Operation:
    """`into` = `first` (kind) (`second` << `shift`) + `constant`, on 32-bit registers;
    "reverse" is the sum minus `first`.

    "read" and "write" access `count` units of `size_bytes` from that sum on and have no result;
    "load" does too and keeps what it read, extended. "extend" takes the low `size_bytes` of
    `first`, signed or not. "shift_right" takes `constant` as the distance. `at` is the address of
    the instruction.
    """

    kind: Kind
    into: int = _NONE
    first: int = _NONE
    second: int = _NONE
    shift: int = 0
    constant: int = 0
    size_bytes: int = 0
    count: int = 1
    signed: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The accesses of a block: run `operations` on the registers in `registers` (a bit each).

    `unseen` data accesses of the block have an address that the plan does not know.
    """

    operations: tuple[Operation, ...]
    registers: int
    unseen: int


def plan(decoder: Decoder, code: CodeImage, address: int, size: int) -> Plan:
    """The plan of the block at `address`. Raises KeyError when `code` does not hold it."""
    block = decoder.block(address, size)
    raws = {int(r.address): r for r in disassemble(code.read(address, size), address)}
    known = (1 << 15) - 1
    operations: list[Operation] = []
    unseen = 0
    stores = _Stores()
    for i in block:
        raw = raws.get(i.address_of)
        made = None if raw is None else _operations(i, raw, code, known)
        if made is None:
            unseen += max(1, i.transfers) if i.kind in _MEMORY else 0
            made = ()
        made = tuple(map(stores.seen, made))
        operations += (replace(o, at=i.address_of) for o in made)
        results = {o.into for o in made} - {_NONE}
        for name in i.writes:
            if name in _REGISTERS:
                bit = 1 << _REGISTERS[name]
                sure = _REGISTERS[name] in results and not i.conditional
                known = known | bit if sure else known & ~bit
                if not sure:
                    stores.forget(_REGISTERS[name])
    return _pruned(operations, unseen)


class _Stores:
    """The words that a block has written itself: at its entry their new values are not there yet.

    Addresses are compared as a register's value at some point plus a constant.
    """

    def __init__(self) -> None:
        self._values = {r: (r, 0) for r in range(_NONE)}
        self._fresh = count(_NONE + 1)
        self._written: set[tuple[int, int]] = set()

    def seen(self, o: Operation) -> Operation:
        """The next operation, but a load of such a word is a read: its value is unknown."""
        if o.kind in ("load", "read", "write") and o.first != _NONE and o.second == _NONE:
            value, offset = self._values[o.first]
            start = (offset + o.constant) % 2**32
            words = {(value, (start + n) // 4) for n in range(o.size_bytes * o.count)}
            if o.kind == "write":
                self._written |= words
            elif o.kind == "load" and words & self._written:
                self.forget(o.into)
                return replace(o, kind="read", into=_NONE, signed=False)
        if o.kind == "add" and o.first != _NONE and o.second == _NONE:
            value, offset = self._values[o.first]
            self._values[o.into] = value, offset + o.constant
        elif o.into != _NONE:
            self.forget(o.into)
        return o

    def forget(self, register: int) -> None:
        """The register was written with something else."""
        self._values[register] = next(self._fresh), 0


def _pruned(operations: list[Operation], unseen: int) -> Plan:
    """Only what addresses depend on, found backwards."""
    needed = 0
    kept: list[Operation] = []
    for o in reversed(operations):
        useful = o.kind in ("read", "write") or needed >> o.into & 1
        if o.kind == "load" and not useful:
            o = replace(o, kind="read", into=_NONE, signed=False)
            useful = True
        if not useful:
            continue
        needed &= ~(1 << o.into)
        needed |= 1 << o.first | 1 << o.second
        kept.append(o)
    return Plan(tuple(reversed(kept)), needed & ~(1 << _NONE), unseen)


def _operations(
    i: Instruction, raw: capstone.CsInsn, code: CodeImage, known: int
) -> tuple[Operation, ...] | None:
    """What one instruction adds to the plan; None when an address or a result is unknown."""
    if i.kind in _MEMORY:
        return _access(i, raw, code, known)
    if i.conditional or len(i.writes) != 1 or i.reads_flags:
        return None
    made = _arithmetic(i, raw)
    if made is None or not all(known >> r & 1 for r in (made.first, made.second) if r != _NONE):
        return None
    return (made,)


def _register(raw: capstone.CsInsn, number: int) -> int | None:
    return _REGISTERS.get(raw.reg_name(number) or "")


def _arithmetic(i: Instruction, raw: capstone.CsInsn) -> Operation | None:
    operands = raw.operands
    if not operands or operands[0].type != arm.ARM_OP_REG:
        return None
    into = _register(raw, operands[0].reg)
    if into is None:
        return None
    sources = operands[1:] if len(operands) > 1 else []
    if len(operands) == 2 and i.name in _PLAIN:
        sources = operands  # add r0, #1
    found = [_register(raw, o.reg) for o in sources if o.type == arm.ARM_OP_REG]
    numbers = [o.imm & 0xFFFFFFFF for o in sources if o.type == arm.ARM_OP_IMM]
    if any(r is None for r in found) or any(_odd_shift(o) for o in sources):
        return None
    registers = [r for r in found if r is not None]
    shift = sources[-1].shift.value if sources and sources[-1].type == arm.ARM_OP_REG else 0
    match i.name, registers, numbers:
        case ("mov" | "movw", [], [n]):
            return Operation("constant", into, constant=n)
        case ("mov", [a], []) if shift == 0:
            return Operation("add", into, a)
        case ("movt", [], [n]):
            return None if into is None else _movt(into, n)
        case ("add" | "sub" | "and" | "orr" | "eor" as name, [a], [n]):
            if name == "sub":
                return Operation("add", into, a, constant=-n & 0xFFFFFFFF)
            return Operation(_PLAIN[name], into, a, constant=n)
        case ("add" | "sub" | "and" | "orr" | "eor" as name, [a, b], []):
            return Operation(_PLAIN[name], into, a, b, shift)
        case ("rsb", [a, b], []):
            return Operation("reverse", into, a, b, shift)
        case ("rsb", [a], [n]):
            return Operation("reverse", into, a, constant=n)
        case ("lsl", [a], [n]):
            return Operation("add", into, _NONE, a, n)
        case ("lsr", [a], [n]):
            return Operation("shift_right", into, a, constant=n)
        case ("asr", [a], [n]):
            return Operation("shift_right_signed", into, a, constant=n)
        case ("mul", [a, b], []):
            return Operation("multiply", into, a, b)
        case ("sxtb" | "sxth" | "uxtb" | "uxth" as name, [a], []) if shift == 0:
            size = 1 if name.endswith("b") else 2
            return Operation("extend", into, a, size_bytes=size, signed=name in _SIGNED)
    return None


def _movt(into: int, upper: int) -> Operation:
    # The lower half stays: it was written by a MOVW right before, which left the upper half zero.
    return Operation("or", into, into, constant=(upper & 0xFFFF) << 16)


def _odd_shift(operand: arm.ArmOp) -> bool:
    return operand.shift.type not in (0, arm.ARM_SFT_LSL)


def _access(
    i: Instruction, raw: capstone.CsInsn, code: CodeImage, known: int
) -> tuple[Operation, ...] | None:
    kind: Kind = "read" if i.kind.startswith("load") else "write"
    if i.literal:
        return _literal(i, code)
    base = _REGISTERS.get(i.base)
    if base is None or not known >> base & 1:
        return None
    if i.kind in ("load_multiple", "store_multiple"):
        return _multiple(i, kind, base)
    memory = next(o.mem for o in raw.operands if o.type == arm.ARM_OP_MEM)
    index, shift = _NONE, 0
    if memory.index:
        found = _register(raw, memory.index)
        if found is None or not known >> found & 1:
            return None
        operand = next(o for o in raw.operands if o.type == arm.ARM_OP_MEM)
        index, shift = found, max(memory.lshift, operand.shift.value)
    step = [o.imm for o in raw.operands if o.type == arm.ARM_OP_IMM]
    post = bool(step) and i.writeback
    offset = 0 if post else memory.disp
    size = 4 if i.access_bytes == 8 else i.access_bytes
    count = 2 if i.access_bytes == 8 else 1
    address = (base, index, shift, offset & 0xFFFFFFFF)
    made: list[Operation] = []
    if i.kind == "load" and not i.fp and not i.conditional and not i.writes_pc:
        into = next((_REGISTERS[n] for n in i.writes if n in _REGISTERS and n != i.base), None)
        if into is None and not i.writeback and i.base in i.writes:
            into = base
        if into is not None:
            made.append(Operation("load", into, *address, size, 1, i.name in _SIGNED))
    if not made:
        made.append(Operation(kind, _NONE, *address, size, count))
    if i.writeback:
        change = step[0] if post else memory.disp
        made.append(Operation("add", base, base, constant=change & 0xFFFFFFFF))
    return tuple(made)


def _literal(i: Instruction, code: CodeImage) -> tuple[Operation, ...] | None:
    """A load from the code stream: its address is known now, and so is the value."""
    address = ((i.address_of + 4) & ~3) + i.displacement
    read = Operation("read", constant=address, size_bytes=4, count=max(1, i.transfers))
    into = [_REGISTERS[n] for n in i.writes if n in _REGISTERS]
    if len(into) != 1 or i.access_bytes != 4 or i.conditional:
        return (read,)
    try:
        value = int.from_bytes(code.read(address, 4), "little")
    except KeyError:
        return (read,)
    return (read, Operation("constant", into[0], constant=value))


def _multiple(i: Instruction, kind: Kind, base: int) -> tuple[Operation, ...]:
    size = 4 * i.transfers
    down = i.name in ("push", "vpush") or i.name.endswith("db")
    start = -size & 0xFFFFFFFF if down else 0
    made = [Operation(kind, _NONE, base, constant=start, size_bytes=4, count=i.transfers)]
    if i.writeback and not (kind == "read" and _loads_base(i)):
        step = start if down else size
        made.append(Operation("add", base, base, constant=step))
    return tuple(made)


def _loads_base(i: Instruction) -> bool:
    return i.name not in ("pop", "vpop") and i.transfers == len(i.writes) and not i.fp
