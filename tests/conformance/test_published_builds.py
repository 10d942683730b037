# SPDX-License-Identifier: MIT
"""What is generated for published networks compiles and links, for each core and in each mode.

Blocks in assembly have ranges (offsets, branches, literals) that the shapes of a network may leave,
and unrolled code is longest where a mode asks for speed. A few networks by default; with
SIMHARNESS_BUILDS=all every published file.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from published import FLOAT32, FURTHER, INT8

from codegen import compile_model
from codegen.target import CoreName, Optimize, target
from simharness.toolchain import build

FEW = (
    ("mlperf_ic_resnet8_int8", "m7"),
    ("mcunet_vww1_int8", "m4"), ("mcunet_vww1_int8", "m0plus"), ("mlperf_kws_dscnn_fp32", "m4"),
)  # fmt: skip


def networks() -> list[tuple[str, CoreName]]:
    if os.environ.get("SIMHARNESS_BUILDS") == "all":
        return list(product((*INT8, *FLOAT32, *FURTHER), get_args(CoreName)))
    return list(FEW)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimize", get_args(Optimize))
@pytest.mark.parametrize("name, core", networks())
def test_it_builds(name: str, core: CoreName, optimize: Optimize, shared_models: Path) -> None:
    compiled = compile_model(shared_models / f"{name}.onnx", target(core, optimize=optimize))

    built = build(compiled.sources, core, optimize=optimize, keep_all=True)

    assert {layer.symbol for layer in compiled.program.layers} <= set(built.image.symbols)
