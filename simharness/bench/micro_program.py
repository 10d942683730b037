# SPDX-License-Identifier: MIT
"""Micro-benchmarks as programs: a sequence of instructions, often, where a model would be.

They make what a board's core and memories cost visible one rule at a time. The sequence of a row of
`microbench` is unrolled (or loops by itself), between the preparation of its registers and a branch
back; what surrounds it is modelled and measured alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simharness.bench.microbench import CORE_BENCHES, Microbench

NAME = "micro"
PREFIX = "micro:"
ROUNDS = 200
_COPIES = 64
_ITERATIONS = 192
_BUFFER_WORDS = 1024
# They branch away, or walk through memory without end.
_NOT_ALONE = frozenset({"m33_subs_ldm4_bne", "m33_subs_bne_not_taken"})


def benches(core: str) -> tuple[Microbench, ...]:
    """Those that can run on a core as programs."""
    return tuple(
        b
        for b in CORE_BENCHES
        if core in b.cores and b.kind in ("copies", "loop") and b.id not in _NOT_ALONE
    )


def sources(bench: Microbench, core: str) -> Mapping[str, str]:
    """A program called NAME with one int32_t input and output, which runs the sequence ROUNDS times
    from prepared registers: bases of accesses point to a buffer, loop counters count, others are 0.
    """
    return {f"{NAME}.h": _HEADER, f"{NAME}.c": _SOURCE.replace("BODY", _body(bench, core))}


def _body(bench: Microbench, core: str) -> str:
    wide = core != "m0plus"
    high = "r4-r11" if wide else "r4-r7"
    sequence = [part.strip() for part in bench.assembly.split(";") if part.strip()]
    floats = [f"vmov.f32 s{n}, #1.0" for n in range(8)] if core in ("m4", "m7", "m33") else []
    lines = [
        ".syntax unified", ".thumb", ".text", ".balign 8", ".thumb_func",
        ".type micro_body, %function", "micro_body:", f"push {{{high}, lr}}",
        "sub sp, #8", "str r0, [sp]", "str r1, [sp, #4]", *floats,
        "9:", *_prepared(bench.assembly),
        *(sequence * (_COPIES if bench.kind == "copies" else 1)),
        "ldr r0, [sp, #4]", "subs r0, #1", "str r0, [sp, #4]", "beq 8f",
        "b.w 9b" if wide else "b 9b",
        "8:", "add sp, #8", f"pop {{{high}, pc}}", ".size micro_body, . - micro_body",
    ]  # fmt: skip
    return "\n".join(f'    "{line}\\n"' for line in lines)


def _prepared(text: str) -> list[str]:
    """Registers before a round."""
    bases = set(re.findall(r"\[(r\d)|ldm\w*\s+(r\d)|vldm\w*\s+(r\d)", text))
    found = {name for group in bases for name in group if name}
    counter = re.search(r"subs (r\d), #(\d)", text)
    lines = [f"movs r{n}, #0" for n in range(8) if f"r{n}" not in found]
    lines += [f"ldr {name}, [sp]" for name in sorted(found)]
    if counter:
        lines.append(f"movs {counter[1]}, #{_ITERATIONS}")
    return lines


_HEADER = f"""#include <stdint.h>
int {NAME}_init(void);
int {NAME}_run(const int32_t *input, int32_t *output);
"""
_SOURCE = f"""#include "{NAME}.h"

__asm(
BODY
);
void micro_body(void *buffer, uint32_t rounds);

static void *buffer[{_BUFFER_WORDS}] __attribute__((aligned(64)));

int {NAME}_init(void)
{{
    buffer[0] = buffer; /* for those that follow pointers */
    return 0;
}}

int {NAME}_run(const int32_t *input, int32_t *output)
{{
    micro_body(buffer, {ROUNDS}u);
    output[0] = input[0];
    return 0;
}}
"""
