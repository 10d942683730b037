# SPDX-License-Identifier: MIT
"""nn_math_f32.h against double precision and the oracle, and the same bits on every core."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import numpy as np
import pytest
from kernel_host import compile_shared

import runtime_c
from codegen.ir import F32, Array
from codegen.oracle import mlas
from simharness.machine import Machine

NAMES = ("exp", "log", "sigmoid", "tanh", "erf", "sqrt")
SOURCE = '#include "nn_math_f32.h"\n' + "".join(
    f"void run_{name}(int32_t n, const float *x, float *y)\n"
    f"{{ for (int32_t i = 0; i < n; i++) y[i] = nn_{name}_f32(x[i]); }}\n"
    for name in NAMES
)


def exact(name: str, x: F32) -> Array:
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        match name:
            case "exp":
                return np.exp(wide)
            case "log":
                return np.log(wide)
            case "sigmoid":
                return 1.0 / (1.0 + np.exp(-wide))
            case "sqrt":
                return np.sqrt(wide)
            case "erf":
                return np.vectorize(math.erf)(wide)
            case _:
                return np.tanh(wide)


def points(name: str) -> F32:
    """Dense where the function lives, and every magnitude on both sides."""
    rng = np.random.default_rng(0)
    tiny = 2.0 ** rng.uniform(-125, 6, 100_000)
    match name:
        case "exp":
            dense = np.concatenate([np.linspace(-87, 88.7, 300_000), tiny.clip(max=88), -tiny])
            dense = dense[dense > -87.0]
        case "log" | "sqrt":
            dense = np.concatenate(
                [np.linspace(0.5, 40, 300_000), 2.0 ** rng.uniform(-125, 127, 99)]
            )
        case _:
            dense = np.concatenate([np.linspace(-20, 20, 300_000), tiny, -tiny])
            dense = dense[dense > -80.0]
    return dense.astype(np.float32)


def ulps(actual: F32, wanted: Array) -> float:
    """The largest error in units of the last place of the wanted value."""
    unit = np.spacing(np.abs(wanted).astype(np.float32)).astype(np.float64)
    return float((np.abs(actual.astype(np.float64) - wanted) / unit).max())


def on_host(name: str, x: F32, *flags: str) -> F32:
    library = ctypes.CDLL(str(compile_shared(SOURCE, *flags)))
    y = np.zeros_like(x)
    run = getattr(library, f"run_{name}")
    run(len(x), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
    return y


@pytest.mark.parametrize("name", ["exp", "log"])
def test_within_an_ulp(name: str) -> None:
    x = points(name)
    assert ulps(on_host(name, x), exact(name, x)) < 1.0


RULES = [("sigmoid", mlas.logistic), ("tanh", mlas.tanh), ("erf", mlas.erf)]


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_activations_have_the_oracles_bits(name: str, rule: Callable[[F32], F32]) -> None:
    x = points(name)
    y = on_host(name, x)
    np.testing.assert_array_equal(y, rule(x))
    np.testing.assert_allclose(y, exact(name, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("core", ["m0plus", "m4"])
@pytest.mark.parametrize("name", NAMES)
def test_cores_have_the_hosts_bits(name: str, core: str) -> None:
    """Subnormal results too; the oldest core does it all in software."""
    x = np.random.default_rng(1).choice(points(name), 5_000)
    x = (
        np.concatenate([x, np.array([0.0, 1.0, 89.0], np.float32)])
        if name not in ("log", "sqrt")
        else x
    )
    y = np.zeros_like(x)
    Machine(core, {"m.c": SOURCE}).call(f"run_{name}", len(x), x, y, returns=None)
    np.testing.assert_array_equal(y.view(np.uint32), on_host(name, x).view(np.uint32))


def test_square_roots_are_the_nearest() -> None:
    x = np.concatenate([points("sqrt"), np.array([0.0, 1.0, 4.0, 2.0**-126, 3e38], np.float32)])
    np.testing.assert_array_equal(on_host("sqrt", x), np.sqrt(x))


def test_ends_of_exp() -> None:
    x = np.array([-np.inf, -200.0, -104.5, 89.0, 200.0, np.inf, 0.0], np.float32)
    y = on_host("exp", x)
    assert (y[:3] == 0).all() and np.isinf(y[3:6]).all() and y[6] == 1.0


def test_ends_of_sigmoid_and_tanh() -> None:
    x = np.array([-np.inf, -100.0, 100.0, np.inf], np.float32)
    np.testing.assert_allclose(on_host("sigmoid", x), [0, 0, 1, 1], atol=1e-7)
    np.testing.assert_allclose(on_host("tanh", x), [-1, -1, 1, 1], atol=1e-7)


def test_a_wrong_coefficient_is_caught() -> None:
    broken = SOURCE.replace('#include "nn_math_f32.h"', "")
    header = runtime_c.read_header("nn_math_f32.h")
    text = header.replace("0x1.5554dcp-3f", "0x1.5544dcp-3f")
    assert text != header
    library = ctypes.CDLL(str(compile_shared(text + broken)))
    x = points("exp")
    y = np.zeros_like(x)
    library.run_exp(len(x), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
    assert ulps(y, exact("exp", x)) > 1.0
