# SPDX-License-Identifier: MIT
"""When results are ready and how long instructions keep the issue stage: Cortex-M33 and M7."""

from __future__ import annotations

from collections.abc import Mapping

from cycle_models.decode import Instruction
from cycle_models.kinds import FP_ARITHMETIC, MULTIPLE, MULTIPLIES

Ports = tuple[int, int, int, int, int]
"""Cycles until a result is ready for: late ALU, early stage and address, multiplier, accumulator,
store data.
"""
LATE, EARLY, MULTIPLIER, ACCUMULATOR, STORE = range(5)


def ports_m7_fp(i: Instruction, f: Mapping[str, float]) -> tuple[Ports, str]:
    """When the result of a floating-point instruction of the M7 is ready, and what a wait for it
    is charged to. `f` are the figures of the core's file.
    """
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


def ports_m33(i: Instruction, f: Mapping[str, float]) -> tuple[Ports, str]:
    """The same for any instruction of the M33."""
    if i.fp and i.kind in ("load", "load_multiple"):
        return (1, 1, 1, 1, 1), "wait_load"
    if i.kind in ("load", "load_double", "load_multiple"):
        return (2, 2, 2, 1, 1), "wait_load"
    if i.kind in MULTIPLIES:
        return (2, 2, 2, 1, 1), "wait_multiply"
    if i.kind == "extend_add":
        return (2, 2, 2, 1, 1), "wait_alu"
    if i.kind in ("simd", "saturate"):
        return (2, 2, 2, 2, 1), "wait_alu"
    if i.kind == "fp_mac":
        n = int(f["fp_mac_latency"])
        return (n, n, n, int(f["fp_mac_accumulate"]), n), "wait_fp"
    if i.kind in FP_ARITHMETIC:
        n = int(f["fp_add_latency"])
        return (n, n, n, n, n), "wait_fp"
    if i.kind in ("fp_to_core", "core_to_fp") and len(i.writes) == 1:
        n = 2 if i.kind == "fp_to_core" else 1
        return (n, n, n, n, n), "wait_fp"
    if i.shifted_operand and not _left_shift(i):
        return (2, 2, 2, 1, 1), "wait_alu"
    return (1, 1, 1, 1, 1), "wait_alu"


def occupancy(i: Instruction, f: Mapping[str, float], *, wide: bool) -> int:
    """Cycles for which the instruction keeps the issue stage."""
    if i.kind in MULTIPLE:
        if wide:
            return (i.transfers + 1) // 2
        return i.transfers
    if i.transfers == 2 and i.kind in ("load", "store"):
        return 1 if wide else 2
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
        not wide
        and i.sets_flags
        and (i.kind == "multiply" or (i.kind == "alu" and _constant_shift(i)))
    ):
        return 2
    if not wide and i.kind == "fp_to_core" and len(i.writes) == 2:
        return 2
    return 1


def _left_shift(i: Instruction) -> bool:
    return "lsl" in i.text and i.kind == "alu"


def _constant_shift(i: Instruction) -> bool:
    return i.shifted_operand and not i.early and i.name != "mov"
