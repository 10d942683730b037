# SPDX-License-Identifier: MIT
"""Float32 arithmetic as ONNX Runtime's CPU library (MLAS) does it on x86-64 with FMA, to the bit.

Every function takes and returns float32 arrays unless it says otherwise. The rational
approximations of tanh and of the logistic function are Eigen's, with fused multiply-adds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codegen.ir import F32, I8, Array

F64 = npt.NDArray[np.float64]


def round_to_odd(total: F64, error: F64) -> F32:
    """The nearest float32 of the exact `total + error`, `error` being what rounding `total` lost.

    Rounding twice errs on ties; making the wide value odd first does not (Boldo and Melquiond,
    "When double rounding is odd", 2005).
    """
    total = np.asarray(total, np.float64)
    bits = total.view(np.int64)
    inexact_and_even = (error != 0) & ((bits & 1) == 0)
    away_from_zero = (error > 0) == (total > 0)
    odd = np.where(inexact_and_even, np.where(away_from_zero, bits + 1, bits - 1), bits)
    with np.errstate(over="ignore"):
        rounded: F32 = odd.view(np.float64).astype(np.float32)
    return rounded


def fma(a: F32 | np.float32, b: F32 | np.float32, c: F32 | np.float32) -> F32:
    """`a * b + c` of float32 values, rounded once to float32."""
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    addend = np.asarray(c, np.float64)
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)
    return round_to_odd(total, error)


def _polynomial(x: F32, *coefficients: float) -> F32:
    """Horner's scheme from the highest power down, one fused multiply-add per step."""
    value = np.full_like(x, np.float32(coefficients[0]))
    for coefficient in coefficients[1:]:
        value = fma(value, x, np.float32(coefficient))
    return value


def tanh(x: F32) -> F32:
    """Odd rational of degree 13 over 6, on [-9, 9]."""
    x = np.clip(x, np.float32(-9), np.float32(9))
    square = x * x
    numerator = x * _polynomial(
        square, -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
        5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
    )  # fmt: skip
    denominator = _polynomial(
        square, 1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03,
        4.89352518554385e-03,
    )  # fmt: skip
    return numerator / denominator


def logistic(x: F32) -> F32:
    """1 / (1 + exp(-x)) as one half plus an odd rational of degree 9 over 10, on [-18, 18]."""
    x = np.clip(x, np.float32(-18), np.float32(18))
    square = x * x
    numerator = x * _polynomial(
        square, 4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05,
        8.51377133304701e-03, 2.48287947061529e-01,
    )  # fmt: skip
    denominator = _polynomial(
        square, 6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06,
        1.70198817374094e-03, 1.16817656904453e-01, 9.93151921023180e-01,
    )  # fmt: skip
    half: F32 = numerator / denominator + np.float32(0.5)
    return np.maximum(half, np.float32(0))


def hardsigmoid(x: F32, alpha: float, beta: float) -> F32:
    """max(0, min(1, alpha * x + beta)), product and sum rounded apart."""
    value: F32 = np.float32(alpha) * x + np.float32(beta)
    return np.maximum(np.minimum(value, np.float32(1)), np.float32(0))


def hardswish(x: F32) -> F32:
    """x * hardsigmoid(x) with alpha = 1/6, beta = 1/2: ONNX Runtime expands the operator so."""
    return x * hardsigmoid(x, 1 / 6, 0.5)


def leakyrelu(x: F32, alpha: float) -> F32:
    return np.where(x >= 0, x, np.float32(alpha) * x)


def prelu(x: F32, slope: F32) -> F32:
    return np.where(x > 0, x, x * slope)


def erf(x: F32) -> F32:
    """x + x * p(x^2) near 0, 1 - exp(-q(|x|)) beyond, with fused multiply-adds.

    The polynomials are N. Juffa's (https://stackoverflow.com/questions/35148198).
    """
    size = np.minimum(np.abs(x), np.float32(3.925))
    near = _polynomial(
        size * size, -5.99104969e-4, 4.99339588e-3, -2.67667342e-2, 1.12818025e-1, -3.76124859e-1,
        1.28379151e-1,
    )  # fmt: skip
    power = _polynomial(
        size, 1.72948930e-5, -3.83208680e-4, 3.88393435e-3, -2.42545605e-2, 1.06777847e-1,
        6.34846687e-1, 1.28717512e-1,
    )  # fmt: skip
    far = np.float32(1) - _exp(-fma(power, size, size))
    return np.copysign(np.where(size > np.float32(0.921875), far, fma(near, size, size)), x)


def _exp(x: F32) -> F32:
    """2^n * e^r with n the nearest integer to x / ln 2, for the x <= 0 that `erf` has."""
    magic = np.float32(1.5 * 2**23)
    n = fma(np.full_like(x, 1.44269504088896341), x, magic) - magic
    r = fma(n, np.float32(-1.42860677e-6), fma(n, np.float32(-6.93145752e-1), x))
    power = _polynomial(
        r, 1.38319808e-3, 8.37550033e-3, 4.16689515e-2, 1.66664466e-1, 4.99999851e-1, 1.0, 1.0
    )
    return np.ldexp(power, n.astype(np.int32))


def gelu(x: F32) -> F32:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    return np.float32(0.5) * x * (erf(x * np.float32(np.sqrt(0.5))) + np.float32(1))


def gelu_tanh(x: F32) -> F32:
    """The same with tanh in place of erf: Gelu's `approximate="tanh"`."""
    root = np.sqrt(2 / np.pi)
    inner = x * (np.float32(0.044715 * root) * x * x + np.float32(root))
    return np.float32(0.5) * x * (tanh(inner) + np.float32(1))


def dequantize(q: Array, scale: float, zero_point: int) -> F32:
    """`f32(q - zero_point) * scale`."""
    return (q.astype(np.int32) - np.int32(zero_point)).astype(np.float32) * np.float32(scale)


def file_offset(unsigned: bool) -> int:
    """What to add to an int8 for the integer that the file has: float32 rounds where that lies."""
    return 128 if unsigned else 0


def quantize(x: F32, scale: float, zero_point: int, lo: int = -128, hi: int = 127) -> I8:
    """`clamp(rint(x / scale) + zero_point, lo, hi)`, a float32 division, round half to even."""
    with np.errstate(over="ignore"):
        ratio = x / np.float32(scale)
    return saturate(np.rint(ratio), zero_point, lo, hi)


def saturate(rounded: Array, zero_point: int, lo: int = -128, hi: int = 127) -> I8:
    """`clamp(rounded + zero_point, lo, hi)` of integers held as floats, however large they are."""
    bounded = np.clip(rounded, -256.0 - abs(zero_point), 256.0 + abs(zero_point))
    return np.clip(bounded.astype(np.int32) + zero_point, lo, hi).astype(np.int8)
