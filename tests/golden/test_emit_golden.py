# SPDX-License-Identifier: MIT
"""The generated C of a small network, byte for byte.

After a considered change: SIMHARNESS_GOLDEN=write python -m pytest tests/golden/test_emit_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codegen import compile_lowered
from codegen.emit import Sources
from codegen.ir import Graph
from codegen.target import target
from simharness.testing.networks import Builder

GOLDEN = Path(__file__).parent / "emit"
FILES = ("tiny.c", "tiny.h", "tiny_weights.c", "tiny_weights.h")


def network() -> Graph:
    """A convolution, a residual sum in place, a view, halves as slices, a pool."""
    b = Builder((1, 4, 4, 3))
    x = b.conv(b.inputs[0], 4, 1, 0)
    y = b.plus(b.conv(x, 4, 1, 1), x)
    top, bottom = b.slice(y, 1, 0, 2), b.slice(y, 1, 2, 2)
    return b.graph(b.view(b.lut(top, 2)), b.pool(b.plus(top, bottom)))


def generated() -> Sources:
    core = target("m4", reference_kernels=True)
    return compile_lowered(network(), core, name="tiny").sources


@pytest.mark.parametrize("file", FILES)
def test_the_text_is_unchanged(file: str) -> None:
    text = generated()[file]
    if os.environ.get("SIMHARNESS_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / file).write_text(text, encoding="utf-8")

    assert text == (GOLDEN / file).read_text(encoding="utf-8")
