# SPDX-License-Identifier: MIT
"""From a planned graph to C99 text."""

from __future__ import annotations

from codegen.emit.layers import build_program
from codegen.emit.names import model_name
from codegen.emit.program import Arena, Argument, Layer, Port, Program, Sources, Table
from codegen.emit.sources import render

__all__ = [
    "Arena", "Argument", "Layer", "Port", "Program", "Sources", "Table",
    "build_program", "model_name", "render",
]  # fmt: skip
