# SPDX-License-Identifier: MIT
"""The generated C of small networks, byte for byte; to renew it see conftest.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from codegen import compile_lowered, compile_model
from codegen.ir import Graph
from codegen.target import CoreName, target
from simharness import zoo
from simharness.testing.networks import Builder


def network() -> Graph:
    """A convolution, a residual sum in place, a view, halves as slices, a pool."""
    b = Builder((1, 4, 4, 3))
    x = b.conv(b.inputs[0], 4, 1, 0)
    y = b.plus(b.conv(x, 4, 1, 1), x)
    top, bottom = b.slice(y, 1, 0, 2), b.slice(y, 1, 2, 2)
    return b.graph(b.view(b.lut(top, 2)), b.pool(b.plus(top, bottom)))


@pytest.mark.parametrize("file", ["tiny.c", "tiny.h", "tiny_weights.c", "tiny_weights.h"])
def test_a_small_network_with_reference_kernels(
    file: str, unchanged: Callable[[str, str], None]
) -> None:
    core = target("m4", reference_kernels=True)

    unchanged(f"emit/{file}", compile_lowered(network(), core, name="tiny").sources[file])


@pytest.mark.parametrize("core", ["m4", "m0plus"])
def test_a_shipped_network(core: CoreName, unchanged: Callable[[str, str], None]) -> None:
    """Layers, plan and choice of kernels, which come as they are; of weights, a hash."""
    name = "lenet5_int8"
    sources = compile_model(zoo.path("lenet5-int8"), target(core), name=name).sources
    weights = hashlib.sha256(sources[f"{name}_weights.c"].encode()).hexdigest()

    unchanged(f"emit/{name}_{core}.c", sources[f"{name}.c"])
    unchanged(f"emit/{name}_{core}.h", sources[f"{name}.h"])
    unchanged(f"emit/{name}_{core}.files", "\n".join((*sorted(sources), f"weights {weights}\n")))
