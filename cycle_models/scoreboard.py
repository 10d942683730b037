# SPDX-License-Identifier: MIT
"""Timing of the cores that issue in order against a scoreboard: Cortex-M33 (mostly one at a time)
and M7 (two).

A register result has a ready time per port, because the same result reaches a late ALU, an
address generator, a multiplier or a store at different times. An instruction issues in the first
cycle in which its operands are ready on their ports, its unit is free and the cycle still has a
slot for it. Latencies and switches are figures of the core's file; which pairs may share a cycle
is stated in `_M7Pairs` and `_M33Pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cycle_models.bill import Bill, BillBuilder
from cycle_models.core import Core
from cycle_models.decode import Instruction, words

_ALU = frozenset({"alu"})
_MULTIPLIES = words("multiply accumulate long_multiply long_accumulate")
_EARLY_SHIFTER = words("bitfield extend_add simd")
_DSP = words("bitfield extend extend_add saturate simd")
_MULTIPLE = words("load_multiple store_multiple load_double store_double")
_SINGLE_ISSUE = _MULTIPLE | words("divide barrier system table fp_status other")
_FP_ARITHMETIC = words("fp_add fp_multiply fp_mac fp_divide fp_root fp_compare fp_convert")
_HORIZON = 20
_FINE = 10
"""The store buffer drains in steps of a tenth of a cycle."""

Ports = tuple[int, int, int, int, int]
"""Cycles until a result is ready for: late ALU, early stage and address, multiplier, accumulator,
store data.
"""
LATE, EARLY, MULTIPLIER, ACCUMULATOR, STORE = range(5)


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
        if i.kind in _MULTIPLIES or i.kind == "fp_mac":
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
        length = self._occupancy(i)
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
            return self._ports_narrow(i)
        if i.kind == "load" and not i.fp:
            if i.access_bytes == 4:
                return (1, int(f["load_to_address"]), 2, 1, 0), "wait_load"
            return (2, 3, 2, 1, 0), "wait_load"
        if i.fp:
            return self._ports_fp(i)
        if i.kind == "load_multiple" or i.kind == "load_double":
            return (1, 2, 2, 1, 0), "wait_load"
        if i.kind in _MULTIPLIES:
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

    def _ports_fp(self, i: Instruction) -> tuple[Ports, str]:
        f = self._figures
        if i.kind == "load":
            return (1, 1, 1, 3, 0), "wait_load"
        if i.kind == "load_multiple":
            return (1, 1, 1, 3, 0), "wait_load"
        if i.kind == "fp_mac":
            fused = i.name.startswith(("vfm", "vfn"))
            other = int(f["fp_mac_latency"]) + (0 if fused else 1)
            return (other, other, other, int(f["fp_mac_accumulate"]), 3), "wait_fp"
        if i.kind in ("fp_divide", "fp_root"):
            return (1, 1, 1, 1, 1), "wait_fp"
        if i.kind == "fp_to_core":
            return (1, 2, 1, 0, 0), "wait_fp"
        if i.kind in ("core_to_fp", "fp_move", "fp_constant"):
            return (3, 3, 1, 3, 1), "wait_fp"
        n = int(f["fp_add_latency"])
        return (n, n, n, n, 1), "wait_fp"

    def _ports_narrow(self, i: Instruction) -> tuple[Ports, str]:
        """The same for the M33."""
        f = self._figures
        if i.fp and i.kind in ("load", "load_multiple"):
            return (1, 1, 1, 1, 1), "wait_load"
        if i.kind in ("load", "load_double", "load_multiple"):
            return (2, 2, 2, 1, 1), "wait_load"
        if i.kind in _MULTIPLIES:
            return (2, 2, 2, 1, 1), "wait_multiply"
        if i.kind == "extend_add":
            return (2, 2, 2, 1, 1), "wait_alu"
        if i.kind in ("simd", "saturate"):
            return (2, 2, 2, 2, 1), "wait_alu"
        if i.kind == "fp_mac":
            n = int(f["fp_mac_latency"])
            return (n, n, n, int(f["fp_mac_accumulate"]), n), "wait_fp"
        if i.kind in _FP_ARITHMETIC:
            n = int(f["fp_add_latency"])
            return (n, n, n, n, n), "wait_fp"
        if i.kind in ("fp_to_core", "core_to_fp") and len(i.writes) == 1:
            n = 2 if i.kind == "fp_to_core" else 1
            return (n, n, n, n, n), "wait_fp"
        if i.shifted_operand and not _left_shift(i):
            return (2, 2, 2, 1, 1), "wait_alu"
        return (1, 1, 1, 1, 1), "wait_alu"

    def _occupancy(self, i: Instruction) -> int:
        """Cycles for which the instruction keeps the issue stage."""
        f = self._figures
        if i.kind in _MULTIPLE:
            if self._wide:
                return (i.transfers + 1) // 2
            return i.transfers
        if i.transfers == 2 and i.kind in ("load", "store"):
            return 1 if self._wide else 2
        if i.kind == "divide":
            return int(f["divide"])
        if i.kind == "fp_divide":
            return int(f["fp_divide"]) * (2 if i.double else 1)
        if i.kind == "fp_root":
            return int(f["fp_root"]) * (2 if i.double else 1)
        if i.kind == "table":
            return 2
        if i.double and i.kind in ("fp_multiply", "fp_mac"):
            return int(f["double_multiply"])
        if i.kind in ("barrier", "system"):
            return int(f["system"])
        if (
            not self._wide
            and i.sets_flags
            and (i.kind == "multiply" or (i.kind == "alu" and _constant_shift(i)))
        ):
            return 2
        if not self._wide and i.kind == "fp_to_core" and len(i.writes) == 2:
            return 2
        return 1

    # -- pairs ------------------------------------------------------------------------------------

    def _fits(self, issued: list[Instruction], i: Instruction) -> bool:
        """Whether `i` may share the cycle with what already issued in it."""
        if len(issued) > 1:
            return False
        older = issued[0]
        return _pairs_m7(older, i) if self._wide else _pairs_m33(older, i)


def _pairs_m33(older: Instruction, younger: Instruction) -> bool:
    """Two 16-bit encodings, the second of which does no work: NOP, IT or a branch."""
    if younger.size != 2 or younger.kind not in ("nop", "it", "branch"):
        return False
    if older.kind == "it" or older.is_branch:
        return False
    return older.size == 2 or younger.kind == "it"


def _pairs_m7(older: Instruction, younger: Instruction) -> bool:
    """The bans of the Cortex-M7 (jnk0le's measurements on STM32H743, LLVM's ARMScheduleM7)."""
    if older.is_branch and (older.kind != "branch" or not older.reads_flags):
        return False
    kinds = (older.kind, younger.kind)
    if any(k in _SINGLE_ISSUE for k in kinds) or (younger.kind == "it" and older.kind == "it"):
        return False
    if any(i.transfers == 2 for i in (older, younger)):
        return False
    stores = [i for i in (older, younger) if i.kind == "store"]
    loads = [i for i in (older, younger) if i.kind == "load"]
    multiplies = [k for k in kinds if k in _MULTIPLIES]
    if len(stores) == 2 or len(multiplies) == 2 or (stores and multiplies):
        return False
    if len(loads) == 2 and _same_bank(loads[0], loads[1]):
        return False
    if younger.kind in _DSP:
        return False
    operand2 = [i.shifted_operand and i.kind == "alu" for i in (older, younger)]
    if all(operand2):
        return False
    if any(k in _EARLY_SHIFTER for k in kinds) and any(operand2):
        return False
    if older.fp and younger.fp:
        if all(k in _FP_ARITHMETIC for k in kinds):
            return False
        if "fp_mac" in kinds and any(
            k in ("load", "store", "fp_move", "core_to_fp", "fp_to_core", "fp_constant")
            for k in kinds
        ):
            return False
    if older.writes & younger.writes and younger.name != "movt":
        return False
    return not (younger.address & older.writes)


def _same_bank(a: Instruction, b: Instruction) -> bool:
    """Whether two loads surely meet in one 32-bit bank: same base register, offsets equal in bit 2.

    Loads from different bases may meet by chance: half of the time, which the walk cannot see;
    they count as free.
    """
    if a.indexed or b.indexed or a.base != b.base or not a.base:
        return False
    x = 0 if a.writeback else a.displacement
    return ((x ^ b.displacement) & 4) == 0


def _near(i: Instruction, offset: int) -> bool:
    """Whether a load meets the doubleword at `offset` from its own base register."""
    if i.indexed or i.writeback:
        return False
    return any((i.displacement + 4 * k) >> 3 == offset >> 3 for k in range(max(1, i.transfers)))


def _is_return(i: Instruction) -> bool:
    return (i.kind == "indirect" and i.name == "bx") or i.kind == "load_multiple" or i.base == "sp"


def _unit(i: Instruction) -> str:
    return "store" if i.kind in ("store", "store_double", "store_multiple") else ""


def _left_shift(i: Instruction) -> bool:
    return "lsl" in i.text and i.kind == "alu"


def _constant_shift(i: Instruction) -> bool:
    return i.shifted_operand and not i.early and i.name != "mov"


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
