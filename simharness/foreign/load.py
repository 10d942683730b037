# SPDX-License-Identifier: MIT
"""Firmware that somebody else built: ELF, raw binary or Intel HEX, as bytes at addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cycle_models.chip import Chip
from cycle_models.profile import CodeImage, Segment
from simharness import elf
from simharness.errors import UsageError, about
from simharness.image import Symbol

_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True, eq=False)
class Firmware:
    """Bytes as a programmer would put them; `vectors` is where the vector table lies."""

    name: str
    load: tuple[Segment, ...]
    code: CodeImage
    symbols: tuple[Symbol, ...]
    vectors: int


def read(path: Path, chip: Chip, *, origin: int | None = None) -> Firmware:
    """Read firmware for `chip`; a raw binary goes to `origin` (where code lives if None).

    Raises UsageError: unreadable, for another architecture, or outside of the chip's memories.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    symbols: tuple[Symbol, ...] = ()
    code: CodeImage | None = None
    if data.startswith(_ELF):
        with about(str(path)):
            parsed = elf.parse(data)
        load, code = parsed.load, parsed.code
        symbols = tuple(s for s in parsed.symbols.values() if s.kind == "func")
    elif path.suffix.lower() == ".hex":
        load = _intel_hex(path, data)
    else:
        place = chip.memory(chip.placement["code"]).origin if origin is None else origin
        load = (Segment(place, data),)
    if not load or not any(s.data for s in load):
        raise UsageError(f"{path}: holds no bytes to load")
    with about(str(path)):
        require_room(load, chip)
    return Firmware(path.name, load, code or CodeImage(load), symbols, load[0].address)


def require_room(load: Iterable[Segment], chip: Chip) -> None:
    """Raises UsageError when a segment lies outside of the chip's memories."""
    for s in load:
        memory = chip.memory_at(s.address)
        if memory is None or s.address + len(s.data) > memory.end:
            known = ", ".join(f"{m.name} {m.origin:#010x}..{m.end:#010x}" for m in chip.memories)
            raise UsageError(
                f"{len(s.data)} bytes at {s.address:#010x} do not fit the memories of {chip.name} "
                f"({known})"
            )


def _intel_hex(path: Path, data: bytes) -> tuple[Segment, ...]:
    """The segments of an Intel HEX file."""
    upper, chunks = 0, {}
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = bytes.fromhex(line.strip().removeprefix(":"))
            count, address, kind = record[0], int.from_bytes(record[1:3], "big"), record[3]
            body = record[4 : 4 + count]
            if not line.startswith(":") or sum(record) & 0xFF or len(record) != count + 5:
                raise ValueError
        except (ValueError, IndexError):
            raise UsageError(f"{path}:{number}: not an Intel HEX record") from None
        if kind == 0:
            chunks[upper + address] = body
        elif kind == 1:
            break
        elif kind in (2, 4):
            upper = int.from_bytes(body, "big") << (16 if kind == 4 else 4)
    segments: list[tuple[int, bytearray]] = []
    for address, body in sorted(chunks.items()):
        if segments and segments[-1][0] + len(segments[-1][1]) == address:
            segments[-1][1].extend(body)
        else:
            segments.append((address, bytearray(body)))
    return tuple(Segment(a, bytes(b)) for a, b in segments)
