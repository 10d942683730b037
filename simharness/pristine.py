# SPDX-License-Identifier: MIT
"""Whether this process runs our code as it is on disk: tests may replace parts of it in memory.

A report is only taken from the cache, or put there, where nothing was replaced. Each of our modules
is recorded as it was right after its import (at `watch`, where that came before), and it notes who
assigns to its attributes, for good: what was put back may have left traces. Methods, functions'
code and constant containers are compared with the record. Not seen: what is changed inside of other
objects and of other packages. This module imports nothing of ours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any, Literal

PACKAGES = ("simharness", "codegen", "cycle_models", "runtime_c")
STARTED_NS = time.time_ns()
"""Sources that changed later may not be what was imported."""

_LATE = ("simharness.session", "codegen.build", "cycle_models.timing")
"""What must not have been imported before `watch`: it, too, might have been changed already."""

_records: dict[str, _Record] = {}
_replaced: list[str] = []
_watching: list[_Watcher] = []

State = Literal["unwatched", "changed", "pristine"]


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """A module as it was right after its import; `containers` names its constant ones."""

    module: ModuleType
    containers: frozenset[str]
    contents: tuple[object, ...]


def watch() -> None:
    """Watch what is imported of our packages from now on; again does nothing."""
    if _watching:
        return
    _replaced.extend(name for name in _LATE if name in sys.modules)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES:
            _record(module)
    _watching.append(_Watcher())
    sys.meta_path.insert(0, _watching[0])


def state() -> State:
    """What is known of this process; "changed" is for good."""
    if not _watching:
        return "unwatched"
    if not _replaced:
        _replaced.extend(
            name
            for name, record in _records.items()
            if not _same(record.contents, list(_contents(record.module, record.containers)))
        )
    return "changed" if _replaced else "pristine"


class _Watcher:
    """Finds our modules as the other finders do, and records them once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in PACKAGES:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                if spec.loader is not None:
                    spec.loader = _Recorder(spec.loader)
                return spec
        return None


class _Recorder(Loader):
    """The loader it is given, with a look at the result."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._loader.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _record(module)


def _record(module: ModuleType) -> None:
    filled = _filled(module)
    _records[module.__name__] = _Record(module, filled, tuple(_contents(module, filled)))
    module.__class__ = _Module


class _Module(ModuleType):
    """Notes assignments from outside: `global` statements do not come here."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name.startswith("__") or isinstance(value, ModuleType)):
            _replaced.append(f"{self.__name__}.{name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _replaced.append(f"{self.__name__}.{name}")
        super().__delattr__(name)


def _filled(module: ModuleType) -> frozenset[str]:
    """The names of containers with something in them; an empty one is there to remember things."""
    found = vars(module).items()
    return frozenset(k for k, v in found if isinstance(v, dict | list | set) and v and k.isupper())


def _contents(module: ModuleType, containers: frozenset[str]) -> Iterator[object]:
    """What may be changed without assigning to the module: code, methods, constant containers."""
    for name, value in list(vars(module).items()):
        if isinstance(value, FunctionType):
            yield from _code(value)
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for key, attribute in list(vars(value).items()):
                if callable(attribute) or not key.startswith("__"):  # msgspec adds __of its own__
                    yield attribute
                    yield from _code(attribute)
        elif name in containers:
            yield from (*value, *value.values()) if isinstance(value, dict) else value


def _code(value: object) -> Iterator[object]:
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if isinstance(inner, FunctionType):
        yield from (inner.__code__, inner.__defaults__, inner.__kwdefaults__)


def _same(before: Sequence[object], now: Sequence[object]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))
