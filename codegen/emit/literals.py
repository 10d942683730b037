# SPDX-License-Identifier: MIT
"""Const arrays and numbers as C text: exact, compact, the same for the same values."""

from __future__ import annotations

import numpy as np

from codegen.ir import Array

_PER_ROW = {"int8_t": 16, "uint8_t": 16, "int16_t": 12, "int32_t": 8, "uint32_t": 8, "float": 5}
_INT32_MIN = "(-2147483647 - 1)"


def array_rows(ctype: str, data: Array) -> list[str]:
    """The elements of a const array, in rows of at most about 100 columns."""
    items = _floats(data) if ctype == "float" else _integers(ctype, data)
    per_row = _PER_ROW[ctype]
    return [", ".join(items[i : i + per_row]) + "," for i in range(0, len(items), per_row)]


def _integers(ctype: str, data: Array) -> list[str]:
    values = data.reshape(-1).tolist()
    if ctype == "uint32_t":
        return [f"{value}u" for value in values]
    return [str(value) if value != -(2**31) else _INT32_MIN for value in values]


def _floats(data: Array) -> list[str]:
    return [_hex(value) for value in np.asarray(data, np.float32).reshape(-1).tolist()]


def _hex(value: float) -> str:
    """A float32 as C99 hexadecimal, the only short form that every compiler reads exactly."""
    if value != value:
        return '__builtin_nanf("")'
    if value in (float("inf"), float("-inf")):
        return "__builtin_inff()" if value > 0 else "-__builtin_inff()"
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"


def decimal_float(value: float) -> str:
    """A float32 as decimal C, nine digits: exact too, and also valid in old C++."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
