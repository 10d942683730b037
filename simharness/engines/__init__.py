# SPDX-License-Identifier: MIT
"""The engines by name. Others add theirs under the entry-point group `simharness.engines`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from simharness.engines.base import Engine
from simharness.errors import UsageError

GROUP = "simharness.engines"
DEFAULT = "unicorn"

# Looked up by name, loaded on use: listing engines imports no emulator.
_OWN: Mapping[str, str] = {
    "unicorn": "simharness.engines.unicorn:UnicornEngine",
    "qemu": "simharness.engines.qemu:Qemu",
    "renode": "simharness.engines.renode:Renode",
    "gdb": "simharness.engines.gdb:Gdb",
}


def names() -> tuple[str, ...]:
    """The known engines, installed or not: ours first, then those of other packages."""
    return tuple(_known())


def engine(name: str = DEFAULT) -> Engine:
    """The engine called `name`, or `name:ARGUMENT` for one that takes an argument.

    Raises UsageError naming the known ones.
    """
    known = _known()
    name, colon, argument = name.partition(":")
    if name not in known:
        raise UsageError(f"unknown engine {name!r}; known are {', '.join(known)}")
    loaded: Engine = known[name].load()(*([argument] if colon else []))
    return loaded


def _known() -> dict[str, EntryPoint]:
    own = {name: EntryPoint(name, place, GROUP) for name, place in _OWN.items()}
    return {**{e.name: e for e in entry_points(group=GROUP)}, **own}
