# SPDX-License-Identifier: MIT
"""A tiny model of two layers, for engine tests; what a test plants goes into the second layer."""

from __future__ import annotations

import numpy as np

from simharness.image import Image, Memory
from simharness.toolchain import ROOMY, Port, Program, build

PROGRAM = Program("net", "net.h", (Port("int8_t", 64),), (Port("int8_t", 64),))
LAYERS = ("net_l00_triple", "net_l01_sum")
_HEADER = "#include <stdint.h>\nint net_init(void);\nint net_run(const int8_t *, int8_t *);\n"
_TEXT = """
#include "net.h"
static int8_t net_arena[64];
static volatile uint32_t sink;
__attribute__((noinline)) static void net_l00_triple(const int8_t *x, int8_t *y) {
  for (int i = 0; i < 64; i++) y[i] = (int8_t)(x[i] * 3);
}
__attribute__((noinline)) static void net_l01_sum(const int8_t *x, int8_t *y) {
  int8_t sum = 0;
  for (int i = 0; i < 64; i++) y[i] = sum = (int8_t)(sum + x[i]);
  PLANTED
}
int net_init(void) { return 0; }
int net_run(const int8_t *x, int8_t *y) {
  net_l00_triple(x, net_arena);
  net_l01_sum(net_arena, y);
  sink = 1;
  return STATUS;
}
"""


def image(
    core: str,
    memories: tuple[Memory, ...] = ROOMY,
    planted: str = "",
    *,
    status: int = 0,
    semihosting: bool = False,
    measuring: bool = False,
) -> Image:
    """The model, built for a core and its memories."""
    text = _TEXT.replace("PLANTED", planted).replace("STATUS", str(status))
    return build(
        {"net.h": _HEADER, "net.c": text}, core, memories, program=PROGRAM, layers=LAYERS,
        semihosting=semihosting, measuring=measuring,
    ).image  # fmt: skip


def values(seed: int) -> tuple[bytes, ...]:
    """One input set."""
    return (np.random.default_rng(seed).bytes(64),)


def expected(given: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What the model computes."""
    x = np.frombuffer(given[0], np.int8).astype(np.int64)
    return (np.cumsum((x * 3).astype(np.int8), dtype=np.int64).astype(np.int8).tobytes(),)
