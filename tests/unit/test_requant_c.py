# SPDX-License-Identifier: MIT
"""nn_requant.h: the integer paths give the bits of the float path."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from kernel_host import compile_shared

from codegen.ir import F32, I32
from simharness.machine import Machine

SOURCE = """
#include "nn_requant.h"
void rint_scaled(int32_t n, const int32_t *acc, const float *m, int32_t *y)
{
    for (int32_t i = 0; i < n; i++) {
        y[i] = nn_rint_scaled(acc[i], m[i]);
    }
}
"""
PATHS = {
    "float": (),
    "integer": ("NN_REQUANT_INTEGER",),
    "mul16": ("NN_REQUANT_INTEGER", "NN_REQUANT_MUL16"),
}
FAR = 1 << 22


def expected(acc: I32, multiplier: F32) -> I32:
    """Three roundings, then everything beyond +-2^22 is one value."""
    with np.errstate(over="ignore", under="ignore"):
        product = acc.astype(np.float32) * multiplier
    return np.clip(np.rint(product), -FAR, FAR).astype(np.int32)


def edges() -> tuple[I32, F32]:
    """Every exponent with awkward mantissas, against accumulators around every power of 2."""
    near = [sign * (1 << e) + d for e in range(31) for d in range(-3, 4) for sign in (-1, 1)]
    odd = [0, -(2**31), 2**31 - 1, 2**24 + 1, 2**25 + 2, 2**25 + 6, 3 * 2**24 + 3, 12345678]
    acc = np.array(sorted({*near, *odd}), np.int32)
    mantissas = np.array([0, 1, 2, 0x400000, 0x3FFFFF, 0x555555, 0x7FFFFE, 0x7FFFFF], np.uint32)
    exponents = np.arange(0, 255, dtype=np.uint32) << np.uint32(23)
    multipliers = (exponents[:, None] | mantissas).reshape(-1).view(np.float32)
    pairs = np.meshgrid(acc, np.concatenate([multipliers, -multipliers]))
    return pairs[0].ravel(), pairs[1].ravel()


def near_ties(count: int, seed: int) -> tuple[I32, F32]:
    """Products within a few ulp of k + 1/2, where the three roundings matter."""
    rng = np.random.default_rng(seed)
    acc = rng.integers(1, 2 ** rng.integers(2, 32, count)).astype(np.int64)
    target = rng.integers(0, 300, count) + 0.5
    bits = (target / acc).astype(np.float32).view(np.int32) + rng.integers(-3, 4, count)
    signs = rng.choice(np.array([-1, 1]), (2, count))
    multiplier = bits.astype(np.int32).view(np.float32) * signs[1].astype(np.float32)
    return (acc * signs[0]).astype(np.int32), multiplier


def anywhere(count: int, seed: int) -> tuple[I32, F32]:
    rng = np.random.default_rng(seed)
    acc = rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 31, count)
    bits = rng.integers(60 << 23, 160 << 23, count)
    return acc.astype(np.int32), bits.astype(np.int32).view(np.float32)


def on_host(path: str, acc: I32, multiplier: F32, *extra: str) -> I32:
    flags = [f"-D{name}" for name in PATHS[path]]
    library = ctypes.CDLL(str(compile_shared(SOURCE, *flags, *extra)))
    y = np.zeros_like(acc)
    arrays = (acc, np.ascontiguousarray(multiplier), y)
    library.rint_scaled(len(acc), *[ctypes.c_void_p(a.ctypes.data) for a in arrays])
    return np.clip(y, -FAR, FAR)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("optimize", ["-O0", "-O3"])
def test_host_paths_agree(path: str, optimize: str) -> None:
    drawn = [edges(), near_ties(400_000, 1), anywhere(400_000, 2)]
    acc = np.concatenate([pair[0] for pair in drawn])
    multiplier = np.concatenate([pair[1] for pair in drawn])
    np.testing.assert_array_equal(
        on_host(path, acc, multiplier, optimize), expected(acc, multiplier)
    )


@pytest.mark.parametrize("core", ["m0plus", "m3", "m4", "m7", "m33"])
def test_emulated_cores_agree(core: str) -> None:
    """Subnormal multipliers and results are left out: Arm FPUs differ in nothing else."""
    machine = Machine(core, {"r.c": SOURCE})
    everywhere = edges()
    sample = np.random.default_rng(3).choice(len(everywhere[0]), 40_000, replace=False)
    for acc, multiplier in (
        (everywhere[0][sample], everywhere[1][sample]),
        near_ties(40_000, 4),
        anywhere(20_000, 5),
    ):
        y = np.zeros_like(acc)
        machine.call("rint_scaled", len(acc), acc, multiplier, y, returns=None)
        np.testing.assert_array_equal(np.clip(y, -FAR, FAR), expected(acc, multiplier))


@pytest.mark.parametrize(("core", "most"), [("m0plus", 74), ("m3", 33)])
def test_the_common_case_is_short(core: str, most: int) -> None:
    """Instructions per accumulator, loop included, on typical sums and multipliers."""
    rng = np.random.default_rng(6)
    acc = rng.integers(-200_000, 200_000, 4096).astype(np.int32)
    multiplier = rng.uniform(2e-4, 1e-3, 4096).astype(np.float32)
    machine = Machine(core, {"r.c": SOURCE})
    y = np.zeros_like(acc)
    count = machine.count("rint_scaled", len(acc), acc, multiplier, y, returns=None)
    assert count.instructions / len(acc) < most


def test_a_wrong_rounding_is_caught() -> None:
    """Half up in place of half to even: the edges above must tell."""
    broken = SOURCE.replace(
        "nn_rint_scaled(acc[i], m[i])", "nn_rint_f32((float)acc[i] * m[i] + 0x1p-20f)"
    )
    library = ctypes.CDLL(str(compile_shared(broken)))
    acc, multiplier = near_ties(100_000, 7)
    y = np.zeros_like(acc)
    library.rint_scaled(len(acc), *[ctypes.c_void_p(a.ctypes.data) for a in (acc, multiplier, y)])
    assert (np.clip(y, -FAR, FAR) != expected(acc, multiplier)).any()
