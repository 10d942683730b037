# SPDX-License-Identifier: MIT
"""Is my kernel faster? Two ways to sum products in C, checked and counted on an emulated Cortex-M4.

python examples/two_kernels.py [CORE]
"""

from __future__ import annotations

import sys

import numpy as np

from simharness.machine import Machine

PLAIN = """
#include <stdint.h>
int32_t dot(const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
"""

UNROLLED = """
#include <stdint.h>
int32_t dot(const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t sum = 0;
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        sum += a[i] * b[i] + a[i + 1] * b[i + 1] + a[i + 2] * b[i + 2] + a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
"""


def main(core: str = "m4") -> dict[str, int]:
    """Instructions of each, for 100 products; both must be right first."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (2, 100), np.int8)
    found = {}
    for name, source in (("plain", PLAIN), ("unrolled", UNROLLED)):
        machine = Machine(core, {"dot.c": source}, optimize="balanced")
        count = machine.count("dot", a, b, 100)
        assert count.result == int(a.astype(np.int32) @ b), name
        found[name] = count.instructions
        print(f"{name:10}{count.instructions:6} instructions on {core}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
