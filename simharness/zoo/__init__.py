# SPDX-License-Identifier: MIT
"""The networks that ship with simharness: `zoo:NAME` wherever a model path is taken."""

from __future__ import annotations

from pathlib import Path

from simharness.errors import UsageError

_HERE = Path(__file__).parent
PREFIX = "zoo:"


def names() -> tuple[str, ...]:
    """The shipped networks' names, sorted."""
    return tuple(sorted(p.stem for p in _HERE.glob("*.onnx")))


def path(name: str) -> Path:
    """The file of a shipped network. Raises UsageError, listing the known names."""
    if name not in names():
        raise UsageError(f"zoo:{name}: no such network; shipped are {', '.join(names())}")
    return _HERE / f"{name}.onnx"


def resolve(model: str | Path) -> Path:
    """A model argument as users type it: a path, or `zoo:NAME`."""
    text = str(model)
    return path(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else Path(text)
