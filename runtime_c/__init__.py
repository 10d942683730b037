# SPDX-License-Identifier: MIT
"""The C99 kernels that generated code calls: one header per kernel in `runtime_c/kernels`."""

from __future__ import annotations

import re
from pathlib import Path

_INCLUDE = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)


def kernel_dir() -> Path:
    """The directory that holds every `nn_*.h`, to pass as `-I` or to copy from."""
    return Path(__file__).parent / "kernels"


def read_header(name: str) -> str:
    """The text of a header such as `nn_conv2d_s8.h`; FileNotFoundError when there is none."""
    if Path(name).name != name:
        raise FileNotFoundError(f"{name} is not the name of a kernel header")
    return (kernel_dir() / name).read_text(encoding="utf-8")


def with_includes(names: tuple[str, ...]) -> tuple[str, ...]:
    """The given headers and every header that they include, each once, sorted by name."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _INCLUDE.findall(read_header(name))
    return tuple(sorted(found))
