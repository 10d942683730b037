# SPDX-License-Identifier: MIT
"""Where the user wants what: `--place code=itcm,weights=flash,arena=dtcm`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from cycle_models.chip import Chip
from cycle_models.chip import Memory as ChipMemory
from simharness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """The memory of each kind of content by name, nothing where the board's own choice stands; of
    the arena one or several.

    What is asked for is never moved elsewhere; where it does not fit, the program does not.
    """

    code: str = ""
    weights: str = ""
    data: str = ""
    arena: tuple[str, ...] = ()
    stack: str = ""


NOTHING_ASKED = Asked()
KINDS = tuple(field.name for field in fields(Asked))


def parse(text: str, chip: Chip) -> Asked:
    """The wish in these words, for this chip.

    Raises UsageError on an unknown kind (listing the known ones), an unknown memory (listing the
    chip's), and a memory that cannot hold the kind.
    """
    boot = chip.placement["code"]
    memories = {m.name.lower(): m for m in chip.memories if m.alias_of in ("", boot)}
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split(",") if text.strip() else ():
        where = f"--place {part.strip()}"
        kind, equals, names = (piece.strip().lower() for piece in part.partition("="))
        if not equals or kind not in KINDS:
            raise UsageError(
                f"{where}: write KIND=MEMORY, kinds are {', '.join(KINDS)}, "
                f"memories of {chip.name} are {_listed(memories.values())}"
            )
        if kind in found:
            raise UsageError(f"{where}: {kind} is placed twice")
        wanted = [name.strip() for name in names.split("+")]
        if len(wanted) > 1 and (kind != "arena" or len(set(wanted)) < len(wanted)):
            raise UsageError(f"{where}: only the arena spreads over memories, each named once")
        for name in wanted:
            if name not in memories:
                raise UsageError(
                    f"{where}: {chip.name} has no memory {name!r}; "
                    f"it has {_listed(memories.values())}"
                )
            _check(kind, memories[name], chip, where)
        found[kind] = tuple(memories[name].name for name in wanted)
    arena = found.pop("arena", ())
    return Asked(**{kind: name for kind, (name,) in found.items()}, arena=arena)


def _check(kind: str, memory: ChipMemory, chip: Chip, where: str) -> None:
    if kind != "code" and memory.alias_of:
        raise UsageError(f"{where}: {memory.name} is {memory.alias_of} again, for code only")
    if kind == "code" and not memory.executable:
        raise UsageError(f"{where}: {chip.name} cannot execute from {memory.name}")
    if kind in ("data", "arena", "stack") and not memory.writable:
        raise UsageError(f"{where}: {memory.name} of {chip.name} cannot be written")


def named(asked: Asked) -> Mapping[str, str | tuple[str, ...]]:
    """What was asked for, by kind."""
    return {kind: memory for kind in KINDS if (memory := getattr(asked, kind))}


def _listed(memories: Iterable[ChipMemory]) -> str:
    return ", ".join(
        f"{m.name} ({m.size_bytes >> 10} KiB{'' if m.writable else ', read-only'})"
        for m in memories
    )
