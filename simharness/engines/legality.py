# SPDX-License-Identifier: MIT
"""Refuses instructions that the core lacks, because emulators accept some of them.

Unicorn's M3 runs SMLAD, and any engine may err: every executed instruction is looked up by its
encoding.
The rules are those of the architecture manuals: ARMv6-M (DDI0419) for m0plus, ARMv7-M (DDI0403)
without
and with the DSP extension and FPv4-SP or FPv5 for m3, m4, m7, and ARMv8-M (DDI0553) for m33.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import capstone

from cycle_models.profile import Profile
from simharness.errors import FaultError
from simharness.image import Image

_V6M_WIDE = frozenset(("bl", "dmb", "dsb", "isb", "mrs", "msr", "udf.w"))
_V6M_LACKS = frozenset(("it", "cbz", "cbnz"))
_SECURE = frozenset(("tt", "ttt", "tta", "ttat", "sg", "bxns", "blxns"))
_DSP = frozenset(("THUMB2DSP", "T2EXTRACTPACK"))
_FP = frozenset(("vfp2", "vfp3", "vfp4", "fparmv8", "dpvfp"))

# What each core lacks, by capstone's groups and why.
_LACKS: Mapping[str, Mapping[str, str]] = {
    "m3": {
        **dict.fromkeys(_DSP, "has no DSP extension"),
        **dict.fromkeys(_FP, "has no FPU"),
        "v8": "is no ARMv8-M core",
    },
    "m4": {
        "fparmv8": "has an FPv4 unit, not FPv5",
        "dpvfp": "has no double-precision unit",
        "v8": "is no ARMv8-M core",
    },
    "m7": {"v8": "is no ARMv8-M core"},
    "m33": {"dpvfp": "has no double-precision unit"},
}


def check(profiles: Iterable[Profile], image: Image) -> None:
    """Raise FaultError at the first executed instruction (by address) that the core lacks."""
    seen: set[tuple[int, int]] = set()
    for profile in profiles:
        for block in profile.blocks:
            place = block.address, block.size_bytes
            if place in seen:
                continue
            seen.add(place)
            code = image.code.read(*place)
            at = 0
            while at < len(code):
                size = 4 if code[at + 1] >> 3 >= 0x1D else 2
                why = fault(image.core, code[at : at + size])
                if why:
                    where = f"{_symbol(image, block.address + at)} in layer {profile.name}"
                    raise FaultError(f"{where}: {why}")
                at += size


@cache
def fault(core: str, encoding: bytes) -> str:
    """Why `core` cannot execute an instruction, given as its two or four bytes; "" when it can."""
    if len(encoding) == 2 and core != "m0plus":
        # Two-byte encodings are common to all cores with Thumb-2, but for the security extension's.
        secure = encoding[1] == 0x47 and encoding[0] & 0x07 == 0x04
        return "" if core == "m33" or not secure else f"BXNS/BLXNS, and {core} is no ARMv8-M core"
    instruction = next(_decoder().disasm(encoding, 0, 1), None)
    if instruction is None or instruction.size != len(encoding):
        return f"encoding {encoding[::-1].hex()} is no instruction"
    text = f"{instruction.mnemonic} {instruction.op_str}".strip()
    if core == "m0plus":
        wide = len(encoding) == 4
        name = instruction.mnemonic
        illegal = name not in _V6M_WIDE if wide else name in _V6M_LACKS
        return f"{text}, which ARMv6-M lacks" if illegal else ""
    if instruction.mnemonic in _SECURE and core != "m33":
        return f"{text}, and {core} is no ARMv8-M core"
    lacks = _LACKS[core]
    for group in instruction.groups:
        why = lacks.get(instruction.group_name(group))
        if why:
            return f"{text}, and {core} {why}"
    return ""


@cache
def _decoder() -> capstone.Cs:
    mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, mode)
    decoder.detail = True
    return decoder


def _symbol(image: Image, address: int) -> str:
    for s in image.symbols.values():
        if s.kind == "func" and s.address <= address < s.address + s.size_bytes:
            return f"{s.name}+{address - s.address:#x} ({address:#010x})"
    return f"{address:#010x}"
