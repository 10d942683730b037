# SPDX-License-Identifier: MIT
"""Reads ELF files for Arm into the values that the rest of simharness uses."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from cycle_models.profile import CodeImage, Segment
from simharness.errors import UsageError
from simharness.image import Image, Memory, Symbol, Toolchain

_KINDS = {"STT_FUNC": "func", "STT_OBJECT": "object", "STT_NOTYPE": "notype"}
_ALLOC = 0x2
_EXECUTE = 0x4


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """What an ELF holds. `load` are the bytes where a programmer puts them (load addresses),
    `code` where they are when they run (run addresses); a `.data` section is in both.
    `ends` gives, for each allocated section, its first address and its size, by name.
    """

    entry: int
    code: CodeImage
    load: tuple[Segment, ...]
    symbols: Mapping[str, Symbol]
    sections: Mapping[str, int]
    places: Mapping[str, tuple[int, int]]


def parse(data: bytes) -> Parsed:
    """Parse an executable. Raises UsageError when it is no little-endian 32-bit Arm ELF."""
    try:
        elf = ELFFile(io.BytesIO(data))
        if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32 or not elf.little_endian:
            raise UsageError(
                "not a little-endian 32-bit Arm ELF; build the firmware for a Cortex-M"
            )
        segments = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
        code = tuple(sorted(
            (Segment(s["p_vaddr"], s.data()) for s in segments), key=lambda s: s.address
        ))  # fmt: skip
        load = tuple(sorted(
            (Segment(s["p_paddr"], s.data()) for s in segments), key=lambda s: s.address
        ))  # fmt: skip
        places = {
            s.name: (int(s["sh_addr"]), int(s["sh_size"]))
            for s in elf.iter_sections()
            if s["sh_flags"] & _ALLOC and s["sh_size"]
        }
        return Parsed(
            entry=elf["e_entry"] & ~1,
            code=CodeImage(code),
            load=load,
            symbols=_symbols(elf),
            sections={name: size for name, (_, size) in places.items()},
            places=places,
        )
    except ELFError as error:
        raise UsageError(f"not an ELF file, or a damaged one: {error}") from error


def thumb_code(data: bytes) -> tuple[Segment, ...]:
    """The executable bytes without the literal pools between them, as the mapping symbols tell.

    Empty when the file was stripped of its symbols.
    """
    elf = ELFFile(io.BytesIO(data))
    marks: list[tuple[int, bool]] = []
    for table in elf.iter_sections():
        if isinstance(table, SymbolTableSection):
            marks += [
                (s["st_value"], s.name[:2] == "$t")
                for s in table.iter_symbols()
                if s.name[:2] in ("$t", "$d", "$a")
            ]
    marks.sort()
    found = []
    for section in elf.iter_sections():
        if not section["sh_flags"] & _EXECUTE or section["sh_type"] == "SHT_NOBITS":
            continue
        start, code = section["sh_addr"], section.data()
        inside = [m for m in marks if start <= m[0] < start + len(code)]
        ends = [*(address for address, _ in inside[1:]), start + len(code)]
        found += [
            Segment(address, code[address - start : end - start])
            for (address, is_code), end in zip(inside, ends, strict=True)
            if is_code and end > address
        ]
    return tuple(found)


def image(
    data: bytes,
    core: str,
    memories: Iterable[Memory],
    *,
    toolchain: Toolchain | None = None,
    layers: tuple[str, ...] = (),
    enlarged: bool = False,
) -> Image:
    """The image that an ELF file makes on a machine. Raises UsageError as `parse` does."""
    parsed = parse(data)
    return Image(
        elf=data,
        core=core,
        entry=parsed.entry,
        code=parsed.code,
        symbols=parsed.symbols,
        sections=parsed.sections,
        memories=tuple(memories),
        toolchain=toolchain,
        layers=layers,
        enlarged=enlarged,
    )


def _symbols(elf: ELFFile) -> dict[str, Symbol]:
    """Named symbols; of local ones with the same name the first stays."""
    found: dict[str, Symbol] = {}
    for table in elf.iter_sections():
        if not isinstance(table, SymbolTableSection):
            continue
        for s in table.iter_symbols():
            kind = _KINDS.get(s["st_info"]["type"])
            if kind is None or not s.name or s.name[0] == "$" or s["st_shndx"] == "SHN_UNDEF":
                continue
            address = s["st_value"] & ~1 if kind == "func" else s["st_value"]
            if s.name not in found or s["st_info"]["bind"] != "STB_LOCAL":
                found[s.name] = Symbol(s.name, address, s["st_size"], kind)
    return found
