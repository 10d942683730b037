# SPDX-License-Identifier: MIT
"""Timing of the single-issue cores with short pipelines: Cortex-M0+, M3 and M4.

Every instruction costs one cycle plus what the core's rules add; what it adds depends on a small
state that one instruction hands to the next. A rule that the core's file does not name does not
exist on that core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cycle_models.bill import Bill, BillBuilder
from cycle_models.core import Core
from cycle_models.decode import NO_REGISTERS, Instruction
from cycle_models.kinds import FP_ARITHMETIC, MULTIPLE, words

_ALU_LIKE = words(
    "alu shift multiply accumulate long_multiply long_accumulate bitfield extend extend_add "
    "saturate simd"
)


@dataclass(frozen=True, slots=True)
class State:
    """What the pipeline remembers between instructions.

    `previous` is "load" (can overlap the next access), "store", "store_register" or "" (nothing
    to overlap with); `loaded`, `computed`, `fp_result` are registers that the previous
    instruction wrote by that means; `base` is the base register of a previous access with
    write-back; `wide_run` counts consecutive 32-bit encodings that cross words; `narrow` says
    that the previous encoding had 16 bits.
    """

    previous: str = ""
    loaded: frozenset[str] = NO_REGISTERS
    computed: frozenset[str] = NO_REGISTERS
    fp_result: frozenset[str] = NO_REGISTERS
    base: str = ""
    wide_run: int = 0
    narrow: bool = False


class SinglePipeline:
    """The rules of one core, applied to blocks and edges."""

    def __init__(self, core: Core) -> None:
        self._rules = core.rules

    def start(self) -> State:
        return State()

    def after_taken(self, state: State) -> State:
        """A taken branch drains everything but a floating-point result still in flight."""
        return State()

    def walk(self, block: Sequence[Instruction], entry: State) -> tuple[Bill, State]:
        """The bill of a block entered in state `entry`, and the state it leaves behind."""
        bill = BillBuilder(self._rules)
        state = entry
        for instruction in block:
            state = self._step(bill, instruction, state)
        return bill.done(), state

    def edge(self, block: Sequence[Instruction], taken: bool, target: Instruction | None) -> Bill:
        """What leaving `block` costs: nothing on a fall-through, the refill on a taken branch."""
        bill = BillBuilder(self._rules)
        last = block[-1]
        if taken and last.is_branch:
            bill.add(_TAKEN.get(last.kind, "taken_branch"))
            if target is not None and target.wide_unaligned:
                bill.add("unaligned_wide_target")
        return bill.done()

    def mispredicted(self, block: Sequence[Instruction], ways: Sequence[int]) -> Bill:
        """These cores do not predict."""
        return ()

    def _step(self, bill: BillBuilder, i: Instruction, s: State) -> State:
        if i.kind == "it" and s.narrow and "it_folded" in self._rules:
            bill.add("it_folded")
        else:
            bill.add("instruction")
        run = s.wide_run + 1 if i.wide_unaligned else 0
        if run == 3:
            bill.add("unaligned_wide_run")
        if i.address & s.computed:
            bill.add("address_from_alu")
        if (
            i.fp
            and i.reads & s.fp_result
            and not (i.kind == "fp_mac" and not i.reads - i.accumulator & s.fp_result)
        ):
            bill.add("fp_result_wait")
        if i.kind == "load":
            return self._load(bill, i, s, run)
        if i.kind == "store":
            return self._store(bill, i, s, run)
        if i.kind in MULTIPLE:
            bill.add("multiple_register", i.transfers)
            if s.previous == "store" and i.kind.startswith("load"):
                bill.add("load_after_store")
        elif i.kind in ("long_multiply", "long_accumulate"):
            bill.add("long_multiply")
        elif i.kind in self._rules:
            bill.add(i.kind)
        if i.double and i.kind in FP_ARITHMETIC:
            bill.add("double_precision")
        return State(
            computed=i.writes if i.kind in _ALU_LIKE else NO_REGISTERS,
            fp_result=i.writes if i.kind in FP_ARITHMETIC else NO_REGISTERS,
            wide_run=run,
            narrow=i.size == 2,
        )

    def _load(self, bill: BillBuilder, i: Instruction, s: State, run: int) -> State:
        if s.previous == "store":
            bill.add("load_after_store")
        overlaps = s.previous == "load" and not i.address & s.loaded
        if overlaps and i.writeback and s.base == i.base and "same_base_writeback" in self._rules:
            bill.add("same_base_writeback")
        if not overlaps:
            bill.add("load")
        if i.transfers == 2:
            bill.add("multiple_register")
        return State(
            previous="load",
            loaded=i.writes - ({i.base} if i.writeback else set()),
            base=i.base if i.writeback else "",
            wide_run=run,
            narrow=i.size == 2,
        )

    def _store(self, bill: BillBuilder, i: Instruction, s: State, run: int) -> State:
        after_load = s.previous == "load" and not i.address & s.loaded
        bill.add("store")
        if i.indexed and not after_load:
            bill.add("store_register_offset")
        if i.transfers == 2:
            bill.add("multiple_register")
        return State(previous="store", wide_run=run, narrow=i.size == 2)


_TAKEN = {
    "call": "taken_call",
    "indirect": "taken_indirect",
    "load": "load_to_pc",
    "load_multiple": "pop_to_pc",
    "table": "table_branch",
}
