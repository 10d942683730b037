# SPDX-License-Identifier: MIT
"""Reads ELF files for Arm into the values that the rest of simharness uses."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from cycle_models.profile import CodeImage, Segment
from simharness.errors import UsageError
from simharness.image import Image, Memory, Symbol, Toolchain

_KINDS = {2: "func", 1: "object", 0: "notype"}
_ENTRY = struct.Struct("<IIIBBH")
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
        return _parse(ELFFile(io.BytesIO(data)))
    except UsageError:
        raise
    except Exception as error:  # pyelftools raises what it stumbles over, of any type
        raise UsageError(f"not an ELF file, or a damaged one: {error}") from error


def _parse(elf: ELFFile) -> Parsed:
    if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32 or not elf.little_endian:
        raise UsageError("not a little-endian 32-bit Arm ELF; build the firmware for a Cortex-M")
    segments = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]

    if any(len(s.data()) != s["p_filesz"] for s in segments):
        raise UsageError("the ELF file is truncated: a segment's bytes are missing")

    def at(address: str) -> tuple[Segment, ...]:
        found = [Segment(s[address], s.data()) for s in segments]
        return tuple(sorted(found, key=lambda s: s.address))

    places = {
        s.name: (int(s["sh_addr"]), int(s["sh_size"]))
        for s in elf.iter_sections()
        if s["sh_flags"] & _ALLOC and s["sh_size"]
    }
    return Parsed(
        entry=elf["e_entry"] & ~1,
        code=CodeImage(at("p_vaddr")),
        load=at("p_paddr"),
        symbols=_symbols(elf),
        sections={name: size for name, (_, size) in places.items()},
        places=places,
    )


def thumb_code(data: bytes) -> tuple[Segment, ...]:
    """The executable bytes without the literal pools between them, as the mapping symbols tell.

    Empty when the file was stripped of its symbols.
    """
    elf = ELFFile(io.BytesIO(data))
    marks = [
        (value, name[:2] == "$t")
        for name, value, _, _, _ in _entries(elf)
        if name[:2] in ("$t", "$d", "$a")
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
    parsed: Parsed | None = None,
) -> Image:
    """The image that an ELF file makes on a machine; `parsed` where that is known already.

    Raises UsageError as `parse` does.
    """
    parsed = parsed or parse(data)
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


def _entries(elf: ELFFile) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, value, size, info and section of all symbols; read at once, for there may be many."""
    for table in elf.iter_sections():
        if isinstance(table, SymbolTableSection):
            names = elf.get_section(table["sh_link"]).data()
            for name, value, size, info, _, section in _ENTRY.iter_unpack(table.data()):
                text = names[name : names.index(b"\0", name)].decode("utf-8", "replace")
                yield text, value, size, info, section


def _symbols(elf: ELFFile) -> dict[str, Symbol]:
    """Named symbols; of local ones with the same name the first stays."""
    found: dict[str, Symbol] = {}
    for name, value, size, info, section in _entries(elf):
        kind = _KINDS.get(info & 15)
        if kind is None or not name or name[0] == "$" or section == 0:
            continue
        if name not in found or info >> 4 != 0:
            found[name] = Symbol(name, value & ~1 if kind == "func" else value, size, kind)
    return found
