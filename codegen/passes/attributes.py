# SPDX-License-Identifier: MIT
"""Typed reading of ONNX attributes."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir import OnnxOp


def integer(op: OnnxOp, name: str, default: int) -> int:
    value = op.attrs.get(name, default)
    assert isinstance(value, int), name
    return value


def real(op: OnnxOp, name: str, default: float) -> float:
    value = op.attrs.get(name, default)
    assert isinstance(value, (int, float)), name
    return float(value)


def text(op: OnnxOp, name: str, default: str) -> str:
    value = op.attrs.get(name, default)
    assert isinstance(value, str), name
    return value


def integers(op: OnnxOp, name: str, default: Sequence[int]) -> tuple[int, ...]:
    value = op.attrs.get(name, default)
    assert isinstance(value, (tuple, list)), name
    return tuple(int(v) for v in value)
