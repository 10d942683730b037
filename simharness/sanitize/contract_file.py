# SPDX-License-Identifier: MIT
"""What each function of any ELF may touch, as a person writes it down in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from simharness.errors import UsageError
from simharness.image import Image
from simharness.sanitize.contract import STACK_BYTES, Access, Contract, Region

_Count = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_Size = Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]


class _FileRegion(msgspec.Struct, forbid_unknown_fields=True):
    tensor: str
    size: _Size
    symbol: str = ""
    offset: _Count = 0
    address: _Count | None = None


class _FileLayer(msgspec.Struct, forbid_unknown_fields=True):
    function: str
    reads: list[_FileRegion] = []
    writes: list[_FileRegion] = []
    scratch: list[_FileRegion] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    layers: list[_FileLayer]
    watched: list[_FileRegion]
    given: list[_FileRegion] = []
    results: list[_FileRegion] = []
    stack: _Count = STACK_BYTES


def read_contract(path: str | Path, image: Image) -> Contract:
    """A contract for any ELF, from JSON.

    `{"watched": [region...], "layers": [{"function": NAME, "reads": [...], "writes": [...],
    "scratch": [...]}...], "given": [...], "results": [...], "stack": BYTES}` with regions
    `{"tensor": NAME, "symbol": NAME, "offset": 0, "size": BYTES}`, or `"address"` for `"symbol"`.
    Raises UsageError naming the file, all that is wrong, and where.
    """
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=_File)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path}: not a memory contract: {error}") from error
    problems: list[str] = []

    def regions(asked: Sequence[_FileRegion], access: Access, place: str) -> Iterator[Region]:
        for number, r in enumerate(asked):
            where = f"$.{place}[{number}] ({r.tensor!r})"
            if bool(r.symbol) == (r.address is not None):
                problems.append(f"{where} needs a symbol or an address, one of them")
            elif r.symbol and r.symbol not in image.symbols:
                problems.append(f"{where}: the ELF has no symbol {r.symbol!r}")
            else:
                base = image.symbols[r.symbol].address if r.symbol else r.address or 0
                region = Region(r.tensor, base + r.offset, r.size, access)
                if place != "watched" and not any(_holds(w, region) for w in watched):
                    problems.append(f"{where} is not inside any of $.watched")
                yield region

    watched: list[Region] = []
    watched += regions(found.watched, "read", "watched")
    layers: dict[str, tuple[Region, ...]] = {}
    for number, layer in enumerate(found.layers):
        place = f"layers[{number}]"
        symbol = image.symbols.get(layer.function)
        if symbol is None or symbol.kind != "func":
            problems.append(f"$.{place}: the ELF has no function {layer.function!r}")
        elif layer.function in layers:
            problems.append(f"$.{place}: {layer.function!r} has been there before")
        layers[layer.function] = (
            *regions(layer.reads, "read", f"{place}.reads"),
            *regions(layer.writes, "write", f"{place}.writes"),
            *regions(layer.scratch, "scratch", f"{place}.scratch"),
        )
    given = tuple(regions(found.given, "write", "given"))
    results = tuple(regions(found.results, "write", "results"))
    if problems:
        raise UsageError("\n".join(f"{path}: {problem}" for problem in problems))
    places = tuple((r.address, r.size_bytes) for r in watched)
    return Contract(layers, places, given, results, {}, found.stack)


def _holds(outer: Region, inner: Region) -> bool:
    end = outer.address + outer.size_bytes
    return outer.address <= inner.address and inner.address + inner.size_bytes <= end
