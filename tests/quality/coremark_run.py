# SPDX-License-Identifier: MIT
"""Runs a bare-metal ELF between two of its functions and counts; records CoreMark's bills.

python tests/quality/coremark_run.py FOLDER > cycle_models/measured/coremark_bills.csv
"""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from unicorn import arm_const

from cycle_models.profile import CodeImage, Profile, Segment
from cycle_models.published import LEVELS, coremark_bill
from simharness.engines.unicorn_count import attach, profiles
from simharness.engines.unicorn_cpu import model

_RAM = ((0x0000_0000, 0x4_0000), (0x2000_0000, 0x4_0000))
_SYSTEM = (0xE000_0000, 0x10_0000)
_BUDGET = 2_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    profile: Profile
    code: CodeImage
    iterations: int


def count_between(elf: bytes, core: str, start: str, stop: str) -> Counted:
    """Boot `elf`, count from the call of `start` to the call of `stop`."""
    uc = model(core)
    for origin, size in (*_RAM, _SYSTEM):
        uc.mem_map(origin, size)
    file = ELFFile(io.BytesIO(elf))
    segments = []
    for s in file.iter_segments():
        if s["p_type"] == "PT_LOAD" and s["p_filesz"]:
            uc.mem_write(s["p_vaddr"], s.data())
            segments.append(Segment(s["p_vaddr"], s.data()))
    table = file.get_section_by_name(".symtab")
    symbols = {s.name: s["st_value"] & ~1 for s in table.iter_symbols()}
    counter = attach(uc, _RAM, [])
    uc.reg_write(arm_const.UC_ARM_REG_SP, _RAM[1][0] + _RAM[1][1])
    counter.start(_BUDGET)
    uc.emu_start(file["e_entry"] | 1, symbols[start])
    counter.start(_BUDGET)
    uc.emu_start(symbols[start] | 1, symbols[stop])
    (profile,) = profiles(counter.finish(), ("coremark",))
    iterations = int.from_bytes(uc.mem_read(symbols["seed4_volatile"], 4), "little")
    return Counted(profile, CodeImage(tuple(segments)), iterations)


def main(folder: Path) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("core", "level", "rule", "times"))
    for core in ("m4", "m7", "m33"):
        for level in LEVELS:
            run = count_between(
                (folder / f"{core}-{level}.elf").read_bytes(), core, "start_time", "stop_time"
            )
            bill = coremark_bill(core, run.profile, run.code, run.iterations)
            for rule, times in sorted(bill.items()):
                writer.writerow((core, level, rule, f"{times:.2f}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
