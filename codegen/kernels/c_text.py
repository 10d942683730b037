# SPDX-License-Identifier: MIT
"""C spellings of numbers and parameter blocks, always the same text for the same value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.ops import Requant, Window


def c_float(value: float) -> str:
    """A float32 as an exact C99 literal: `0x1.8p+1f`; infinities and NaN as compiler builtins."""
    exact = float(np.float32(value))
    if np.isnan(exact):
        return '__builtin_nanf("")'
    if np.isinf(exact):
        return "__builtin_inff()" if exact > 0 else "(-__builtin_inff())"
    mantissa, exponent = exact.hex().split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    text = f"{mantissa}p{exponent}f"
    return f"({text})" if text.startswith("-") else text


def c_array(values: Sequence[int]) -> str:
    """A brace initializer: `{1, 2, 3}`."""
    return "{" + ", ".join(str(v) for v in values) + "}"


def c_struct(ctype: str, name: str, fields: Mapping[str, int | float | str]) -> str:
    """`static const ctype name = {.field = value, ...};`, a few fields to a line."""
    parts = [
        f".{field} = {c_float(value) if isinstance(value, float) else value}"
        for field, value in fields.items()
    ]
    lines = [", ".join(parts[i : i + 4]) for i in range(0, len(parts), 4)]
    return f"static const {ctype} {name} = {{\n    " + ",\n    ".join(lines) + "};"


def window_text(
    window: Window, x_shape: tuple[int, ...], y_shape: tuple[int, ...], groups: int = 1
) -> str:
    """The `nn_window p` of a layer from x[N,H,W,Ci] and y[N,Ho,Wo,Co]."""
    batch, in_h, in_w, in_c = x_shape
    _, out_h, out_w, out_c = y_shape
    return c_struct(
        "nn_window",
        "p",
        {
            "batch": batch, "in_h": in_h, "in_w": in_w, "in_c": in_c,
            "out_h": out_h, "out_w": out_w, "out_c": out_c,
            "kernel_h": window.kernel[0], "kernel_w": window.kernel[1],
            "stride_h": window.strides[0], "stride_w": window.strides[1],
            "pad_top": window.pads[0], "pad_left": window.pads[1],
            "dilation_h": window.dilations[0], "dilation_w": window.dilations[1],
            "groups": groups,
        },
    )  # fmt: skip


def requant_text(requant: Requant) -> str:
    """The `nn_requant q` of a layer."""
    return c_struct(
        "nn_requant",
        "q",
        {
            "in_zp": requant.in_zp, "out_zp": requant.out_zp, "lo": requant.lo, "hi": requant.hi,
            "per_channel": int(requant.multiplier.size > 1),
        },
    )  # fmt: skip
