# SPDX-License-Identifier: MIT
"""Which two instructions the Cortex-M33 and M7 issue in one cycle."""

from __future__ import annotations

from cycle_models.decode import Instruction
from cycle_models.kinds import FP_ARITHMETIC, MULTIPLE, MULTIPLIES, words

_EARLY_SHIFTER = words("bitfield extend_add simd")
_DSP = words("bitfield extend extend_add saturate simd")
_SINGLE_ISSUE = MULTIPLE | words("divide barrier system table fp_status other")


def pairs_m33(older: Instruction, younger: Instruction) -> bool:
    """Two 16-bit encodings, the second of which does no work: NOP, IT or a branch."""
    if younger.size != 2 or younger.kind not in ("nop", "it", "branch"):
        return False
    if older.kind == "it" or older.is_branch:
        return False
    return older.size == 2 or younger.kind == "it"


def pairs_m7(older: Instruction, younger: Instruction) -> bool:
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
    multiplies = [k for k in kinds if k in MULTIPLIES]
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
        if all(k in FP_ARITHMETIC for k in kinds):
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
