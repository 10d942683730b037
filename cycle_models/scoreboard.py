# SPDX-License-Identifier: MIT
"""Timing of the cores that issue in order against a scoreboard: Cortex-M33 (mostly one at a time)
and M7 (two).

A register result has a ready time per port, because the same result reaches a late ALU, an
address generator, a multiplier or a store at different times. An instruction issues in the first
cycle in which its operands are ready on their ports, its unit is free and the cycle still has a
slot for it. Latencies and switches are figures of the core's file; which pairs may share a cycle
is stated in `cycle_models.pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cycle_models.bill import Bill, BillBuilder
from cycle_models.core import Core
from cycle_models.decode import Instruction
from cycle_models.kinds import MULTIPLIES
from cycle_models.latencies import (
    ACCUMULATOR,
    EARLY,
    LATE,
    MULTIPLIER,
    STORE,
    Ports,
    occupancy,
    ports_m7_fp,
    ports_m33,
)
from cycle_models.pairs import pairs_m7, pairs_m33

_HORIZON = 20
_FINE = 10
"""The store buffer drains in steps of a tenth of a cycle."""


@dataclass(frozen=True, slots=True)
class State:
    """The scoreboard relative to the next free cycle: registers in flight, and the busy time of
    units.
    """

    ready: tuple[tuple[str, Ports, str], ...] = ()
    busy: tuple[tuple[str, int], ...] = ()
    stores: tuple[tuple[str, int, int], ...] = ()
    narrow: tuple[str, int] | None = None


@dataclass(slots=True)
class _Board:
    """The scoreboard while a block is walked. Times are cycles since the block's first issue
    cycle.
    """

    now: int = 0
    issued: list[Instruction] = field(default_factory=list)
    ready: dict[str, tuple[Ports, str]] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    narrow: tuple[str, int] | None = None
    """Base and offset of the last sub-word store."""
    stores: list[tuple[str, int, int]] = field(default_factory=list)
    """Recent stores: base register, offset, and the cycle until which a load nearby must wait."""


class ScoreboardPipeline:
    """The rules of one core, applied to blocks and edges."""

    def __init__(self, core: Core) -> None:
        self._rules = core.rules
        self._figures = core.figures
        self._wide = core.figures["issue_width"] > 1

    def start(self) -> State:
        return State()

    def after_taken(self, state: State) -> State:
        """A predicted taken branch keeps what is in flight; a refill of some cycles lets it age."""
        return state if self._wide else _aged(state, int(self._figures["taken_refill"]))

    def walk(self, block: Sequence[Instruction], entry: State) -> tuple[Bill, State]:
        """The bill of a block entered in state `entry`, and the state it leaves behind."""
        bill = BillBuilder(self._rules)
        board = _Board(
            ready={name: (ports, why) for name, ports, why in entry.ready},
            busy=dict(entry.busy),
            stores=list(entry.stores),
            narrow=entry.narrow,
        )
        for i in block:
            self._issue(bill, board, i)
        end = board.now + (1 if board.issued else 0)
        return bill.done(), _snapshot(board, end)

    def edge(self, block: Sequence[Instruction], taken: bool, target: Instruction | None) -> Bill:
        """What leaving `block` costs. Mispredictions are charged by `mispredictions`, which needs
        both edges.
        """
        bill = BillBuilder(self._rules)
        last = block[-1]
        if not (taken and last.is_branch):
            return bill.done()
        bill.add(_TAKEN.get(last.kind, "taken_branch"))
        if target is not None and target.wide_unaligned:
            bill.add("unaligned_wide_target")
        if target is not None and target.address_of % 8 == 6:
            bill.add("late_target")
        if not self._wide and last.kind == "branch" and len(block) > 1 and block[-2].sets_flags:
            bill.add("taken_after_flags")
        return bill.done()

    def mispredicted(self, block: Sequence[Instruction], ways: Sequence[int]) -> Bill:
        """Mispredictions of the branch that ends `block`, from how often each way out was taken.

        The predictor's history is not simulated: it is taken to follow the most frequent way, so
        every execution of another way counts. Returns are predicted by the return stack.
        """
        bill = BillBuilder(self._rules)
        last = block[-1]
        if len(ways) < 2 or not last.is_branch or _is_return(last):
            return ()
        wrong = round((sum(ways) - max(ways)) * self._figures.get("mispredict_share", 1.0))
        early = all(not i.sets_flags for i in block[-6:]) and last.kind == "branch"
        bill.add("mispredict_early_flags" if early else "mispredict", wrong)
        return bill.done()

    # -- issue ------------------------------------------------------------------------------------

    def _issue(self, bill: BillBuilder, b: _Board, i: Instruction) -> None:
        if b.issued and self._fits(b.issued, i):
            when, why = self._earliest(b, i, younger=True)
            if when <= b.now:
                self._retire(bill, b, i, younger=True)
                return
        if b.issued:
            b.now += 1
            b.issued = []
        when, why = self._earliest(b, i, younger=False)
        if when > b.now:
            bill.add(why, when - b.now)
            b.now = when
        bill.add("issue_cycle")
        self._retire(bill, b, i, younger=False)

    def _earliest(self, b: _Board, i: Instruction, *, younger: bool) -> tuple[int, str]:
        """The first cycle in which every operand and the unit are there, and what was waited for
        last.
        """
        when, why = 0, "wait_alu"
        for name in i.reads:
            if name in b.ready:
                ports, cause = b.ready[name]
                t = ports[self._port(i, name)]
                if t > when:
                    when, why = t, cause
        if i.reads_flags and "flags" in b.ready:
            ports, cause = b.ready["flags"]
            if ports[LATE] > when and i.kind not in ("branch",):
                when, why = ports[LATE], cause
        if i.kind in ("load", "load_double", "load_multiple"):
            for base, offset, until in b.stores:
                if base == i.base and until > when and _near(i, offset):
                    when, why = until, "wait_store"
        unit = _unit(i)
        if unit and b.busy.get(unit, 0) > when:
            when, why = b.busy[unit], "wait_unit"
        if i.fp and b.busy.get("fp", 0) > when and not self._shadow_free(i, younger):
            when, why = b.busy["fp"], "wait_fp"
        return when, why

    def _shadow_free(self, i: Instruction, younger: bool) -> bool:
        """Whether an FP instruction may issue in the shadow of a multiply-accumulate."""
        if not self._wide:
            return False
        if i.kind in ("fp_mac", "fp_multiply"):
            return True
        return i.kind in ("load", "store", "fp_move", "core_to_fp", "fp_to_core") and not (
            younger or i.transfers == 2
        )

    def _port(self, i: Instruction, name: str) -> int:
        if name in i.address:
            return EARLY
        if name in i.accumulator:
            return ACCUMULATOR
        if name in i.early:
            return EARLY
        if i.kind in MULTIPLIES or i.kind == "fp_mac":
            return MULTIPLIER
        if name in i.data:
            return STORE
        return LATE

    def _retire(self, bill: BillBuilder, b: _Board, i: Instruction, *, younger: bool) -> None:
        t = b.now
        ports, why = self._ports(b, i, younger)
        at = tuple(t + p for p in ports)
        for name in i.writes:
            mine = at
            if i.writeback and name == i.base:
                mine = (t + 1, t + 1, t + 1, t + 1, t + 1)
            b.ready[name] = ((mine[0], mine[1], mine[2], mine[3], mine[4]), why)
        if i.sets_flags:
            f = t + 1 + (1 if i.shifted_operand and not self._wide else 0)
            b.ready["flags"] = ((f, f, f, f, f), why)
        if b.stores:
            b.stores = [s for s in b.stores if s[2] > t and s[0] not in i.writes]
        if i.kind in ("store", "store_double") and not i.indexed and self._wide and not i.writeback:
            until = t + int(self._figures["store_to_load"])
            b.stores += [
                (i.base, i.displacement + 4 * k, until) for k in range(max(1, i.transfers))
            ]
        b.issued.append(i)
        length = occupancy(i, self._figures, wide=self._wide)
        if length > 1:
            bill.add("multicycle", length - 1)
            b.now += length - 1
        if i.kind == "fp_mac":
            b.busy["fp"] = b.now + 1 + int(self._figures["fp_mac_shadow"])
        elif i.kind in ("store", "store_double", "store_multiple") and self._wide:
            self._store_buffer(b, i)

    def _store_buffer(self, b: _Board, i: Instruction) -> None:
        """Sub-word stores are read-modify-write in TCM and drain slower than they can come."""
        if i.access_bytes >= 4:
            return
        f = self._figures
        drain = f["narrow_store_cycles"]
        if not i.writeback and not i.indexed and b.narrow is not None and b.narrow[0] == i.base:
            same = ((b.narrow[1] ^ i.displacement) & 4) == 0
            drain = f["narrow_store_same_bank"] if same else f["narrow_store_other_bank"]
        b.narrow = (i.base, i.displacement)
        backlog = max(b.busy.get("drain", 0), _FINE * b.now) + round(_FINE * drain)
        b.busy["drain"] = backlog
        b.busy["store"] = int((backlog - _FINE * drain * f["store_buffer"]) // _FINE)

    # -- figures ----------------------------------------------------------------------------------

    def _ports(self, b: _Board, i: Instruction, younger: bool) -> tuple[Ports, str]:
        """Ready times of the result on each port, in cycles after issue, and the rule that a wait
        for it charges.
        """
        f = self._figures
        if not self._wide:
            return ports_m33(i, f)
        if i.kind == "load" and not i.fp:
            if i.access_bytes == 4:
                return (1, int(f["load_to_address"]), 2, 1, 0), "wait_load"
            return (2, 3, 2, 1, 0), "wait_load"
        if i.fp:
            return ports_m7_fp(i, f)
        if i.kind == "load_multiple" or i.kind == "load_double":
            return (1, 2, 2, 1, 0), "wait_load"
        if i.kind in MULTIPLIES:
            return (2, 3, 2, 1, 1), "wait_multiply"
        if i.kind == "saturate":
            return (2, 2, 2, 2, 0), "wait_alu"
        if i.kind == "divide":
            return (1, 2, 1, 1, 0), "wait_alu"
        if i.kind in ("alu", "shift") and self._early_alu(b, i, younger):
            return (0, 1, 1, 0, 0), "wait_alu"
        if i.name in ("rev", "rev16", "revsh", "rbit"):
            return (0, 2, 1, 0, 0), "wait_alu"
        return (1, 2, 1, 0, 0), "wait_alu"

    def _early_alu(self, b: _Board, i: Instruction, younger: bool) -> bool:
        """Whether this data-processing instruction can run in the early ALU (M7)."""
        if i.shifted_operand:
            return False
        if i.kind == "alu" and (
            younger or i.name not in ("add", "sub", "mov", "movt", "addw", "subw", "adr", "rsb")
        ):
            return False
        if i.reads_flags:
            return False
        return all(b.ready[n][0][EARLY] <= b.now for n in i.reads if n in b.ready)

    # -- pairs ------------------------------------------------------------------------------------

    def _fits(self, issued: list[Instruction], i: Instruction) -> bool:
        """Whether `i` may share the cycle with what already issued in it."""
        if len(issued) > 1:
            return False
        older = issued[0]
        return pairs_m7(older, i) if self._wide else pairs_m33(older, i)


def _near(i: Instruction, offset: int) -> bool:
    """Whether a load meets the doubleword at `offset` from its own base register."""
    if i.indexed or i.writeback:
        return False
    return any((i.displacement + 4 * k) >> 3 == offset >> 3 for k in range(max(1, i.transfers)))


def _is_return(i: Instruction) -> bool:
    return (i.kind == "indirect" and i.name == "bx") or i.kind == "load_multiple" or i.base == "sp"


def _unit(i: Instruction) -> str:
    return "store" if i.kind in ("store", "store_double", "store_multiple") else ""


def _snapshot(b: _Board, end: int) -> State:
    """What is still in flight at cycle `end`, relative to it."""
    ready = []
    for name in sorted(b.ready):
        ports, why = b.ready[name]
        rest = tuple(min(_HORIZON, max(0, p - end)) for p in ports)
        if any(rest):
            ready.append((name, (rest[0], rest[1], rest[2], rest[3], rest[4]), why))
    busy = []
    for name in sorted(b.busy):
        scale = _FINE if name == "drain" else 1
        rest_busy = b.busy[name] - end * scale
        if rest_busy > 0:
            busy.append((name, min(rest_busy, _FINE * _HORIZON)))
    stores = tuple((base, offset, until - end) for base, offset, until in b.stores if until > end)
    return State(tuple(ready), tuple(busy), stores, b.narrow if busy else None)


def _aged(state: State, cycles: int) -> State:
    board = _Board(
        ready={name: (ports, why) for name, ports, why in state.ready}, busy=dict(state.busy)
    )
    return _snapshot(board, cycles)


_TAKEN: Mapping[str, str] = {
    "call": "taken_call",
    "indirect": "taken_indirect",
    "load": "load_to_pc",
    "load_multiple": "pop_to_pc",
    "table": "table_branch",
}
