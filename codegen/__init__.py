# SPDX-License-Identifier: MIT
"""ONNX to C for microcontrollers: `compile_model` is the one door."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codegen.build import Compiled, compile_lowered, compile_model

__all__ = ["Compiled", "compile_lowered", "compile_model"]


def __getattr__(name: str) -> object:
    """Import the pipeline, and with it onnx, only when somebody asks for it."""
    if name in __all__:
        from codegen import build

        return getattr(build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
