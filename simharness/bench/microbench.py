# SPDX-License-Identifier: MIT
# ruff: noqa: E501 - a table reads best with one row per line
"""Published micro-benchmarks as our own assembly: sequence, core, cycles, tolerance, source.

Kinds of measurement:
- "copies": the sequence unrolled 14 and 4 times; the difference over ten is its steady-state cost;
- "loop": a loop run 30 and 20 times; the difference over ten is the cost of one iteration;
- "exit": a loop run 30 times, without what its iterations cost: its one mispredicted exit;
- "once": the sequence on its own from a drained pipeline (latencies: the consumer's cycle included).
`filler` cycles belong to instructions that only separate the measured ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["copies", "loop", "exit", "once"]


@dataclass(frozen=True, slots=True)
class Microbench:
    id: str
    cores: tuple[str, ...]
    kind: Kind
    assembly: str
    cycles: float
    tolerance: float
    source: str
    filler: float = 0.0


def _bench(
    id: str,
    cores: str,
    kind: Kind,
    assembly: str,
    cycles: float,
    source: str,
    *,
    tolerance: float = 0.0,
    filler: float = 0.0,
) -> Microbench:
    return Microbench(id, tuple(cores.split()), kind, assembly, cycles, tolerance, source, filler)


_MBED = "1: subs r0, #1; nop; nop; bcs 1b"
_NRFX = "1: subs r0, #3; bhi 1b"
_JNK4 = "jnk0le/random, cortex-m3/m4"
_JNK7 = "jnk0le/random, cortex-m7"
_JNK33 = "jnk0le/random, cortex-m33"
_TRM0 = "Arm Cortex-M0+ TRM"
_TRM3 = "Arm Cortex-M3 TRM"
_TRM4 = "Arm Cortex-M4 TRM"
_SL33 = "SLOTHY cortex_m33"

CORE_BENCHES: tuple[Microbench, ...] = (
    _bench("loop_mbed_m0", "m0", "loop", _MBED, 6, "mbed-os"),
    _bench("loop_mbed_m0p", "m0plus", "loop", _MBED, 5, "mbed-os"),
    _bench("loop_mbed_m3m4", "m3 m4", "loop", _MBED, 5, "mbed-os"),
    _bench("loop_mbed_m23", "m23", "loop", _MBED, 5, "mbed-os"),
    _bench("loop_mbed_m33", "m33", "loop", _MBED, 3, "mbed-os"),
    _bench("loop_mbed_m7", "m7", "loop", _MBED, 2, "mbed-os"),
    _bench("loop_nrfx_m0", "m0", "loop", _NRFX, 4, "nrfx"),
    _bench("loop_nrfx_nrf52_cached", "m4", "loop", _NRFX, 3, "nrfx"),
    _bench("loop_nrfx_m33", "m33", "loop", _NRFX, 3, "nrfx"),
    _bench("loop_blaat_m0", "m0", "loop", _NRFX, 4, "blaatschaap.be"),
    _bench("loop_blaat_m0p", "m0plus", "loop", _NRFX, 3, "blaatschaap.be"),
    _bench("loop_pico", "m0plus", "loop", "1: subs r0, #3; bcs 1b", 3, "pico-sdk"),
    _bench("m0p_ldr_sram", "m0plus", "copies", "ldr r0, [r1]; nop", 3, _TRM0),
    _bench("m0p_mul", "m0plus", "copies", "muls r0, r1, r0", 1, _TRM0),
    _bench("m0p_ldm4", "m0plus", "copies", "ldmia r0!, {r1-r4}", 5, _TRM0),
    _bench("m0p_push_pop", "m0plus", "once", "push {r4-r7, lr}; pop {r4-r7, pc}", 14, _TRM0),
    _bench("m0p_bl_bx", "m0plus", "once", "bl 1f; 1: bx lr", 5, _TRM0),
    _bench("m4_ldr_ldr", "m3 m4", "copies", "ldr r0, [r1]; ldr r2, [r3]; add r4, r5", 3, _TRM3, filler=1),
    _bench("m4_ldr_str", "m3 m4", "copies", "ldr r0, [r1, r2]; str r0, [r3, #20]; nop", 3, _TRM3, filler=1),
    _bench("m4_ldr3", "m3 m4", "copies", "ldr r0, [r1]; ldr r2, [r1, #4]; ldr r3, [r1, #8]; nop", 4, _TRM3, filler=1),
    _bench("m4_addr_dep", "m3 m4", "copies", "add r1, r2; ldr r0, [r1]; nop", 4, _TRM3, filler=1),
    _bench("m4_str_imm", "m3 m4", "copies", "str r0, [r1, #4]; add r4, r5", 2, _TRM3),
    _bench("m4_str_reg", "m3 m4", "copies", "str r0, [r1, r2]; add r4, r5", 3, _JNK4),
    _bench("m4_str_ldr", "m3 m4", "copies", "str r0, [r1]; ldr r2, [r3]; add r4, r5", 4, _JNK4, filler=1),
    _bench("m4_ldrd", "m3 m4", "copies", "ldrd r0, r1, [r2]", 3, _TRM3),
    _bench("m4_ldm8", "m3 m4", "copies", "ldm r0, {r1-r8}", 9, _TRM3),
    _bench("m4_tbb", "m3 m4", "once", "tbb [pc, r0]", 6, _TRM3),
    _bench("m4_ldr_pc", "m3 m4", "once", "ldr pc, [r0]", 5, _TRM3),
    _bench("m4_smlad_x4", "m4", "copies", "smlad r0, r1, r2, r0; " * 4, 4, _TRM4),
    _bench("m4_vfma", "m4", "copies", "vfma.f32 s0, s4, s5; vfma.f32 s1, s4, s5; vfma.f32 s2, s4, s5", 9, "TI SWCU192"),
    _bench("m4_vdiv", "m4", "copies", "vdiv.f32 s0, s1, s2; vadd.f32 s3, s0, s4", 14, "TI SWCU192", tolerance=1, filler=1),
    _bench("m4_vldm8", "m4", "copies", "vldmia r0, {s0-s7}", 9, "TI SWCU192"),
    _bench("m4_wide_unaligned", "m4", "once", "nop; add.w r0, r1, r2; add.w r3, r1, r2; add.w r4, r1, r2", 4, "Cortex-M4 alignment compendium", tolerance=1, filler=1),
    _bench("m7_alu_pair", "m7", "copies", "add.w r0, r1, r2; add.w r3, r4, r5", 1, _JNK7),
    _bench("m7_movw_movt", "m7", "copies", "movw r0, #0x1234; movt r0, #0x5678", 1, _JNK7),
    _bench("m7_ldr_pair_banks", "m7", "copies", "ldr.w r0, [r1]; ldr.w r2, [r1, #4]", 1, _JNK7),
    _bench("m7_ldr_pair_same_bank", "m7", "copies", "ldr.w r0, [r1]; ldr.w r2, [r1, #8]", 2, _JNK7),
    _bench("m7_mul_pair", "m7", "copies", "smlad r0, r1, r2, r0; smlad r3, r1, r2, r3", 2, _JNK7),
    _bench("m7_mac_acc_chain", "m7", "copies", "smlad r0, r1, r2, r0", 1, _JNK7),
    _bench("m7_ldr_mac", "m7", "once", "ldr.w r0, [r1]; smlad r2, r0, r3, r4", 2, _JNK7, filler=1),
    _bench("m7_ldrb_alu", "m7", "once", "ldrb.w r0, [r1]; add.w r2, r0, r3", 2, _JNK7, filler=1),
    _bench("m7_dsp_pair", "m7", "copies", "sxtb16 r0, r1; sxtb16 r2, r3", 2, _JNK7),
    _bench("m7_store_pair", "m7", "copies", "str.w r0, [r1]; str.w r2, [r1, #4]", 2, _JNK7),
    _bench("m7_ldm8", "m7", "copies", "ldm r0, {r1-r8}", 4, _JNK7),
    _bench("m7_strb_stream", "m7", "copies", "strb r0, [r1], #1; " * 10, 24, _JNK7, tolerance=1.2),
    _bench("m7_strb_same_bank", "m7", "copies", "strb.w r0, [r1]; " * 10, 40, _JNK7, tolerance=2),
    _bench("m7_vfma_chain", "m7", "copies", "vfma.f32 s0, s1, s2", 3, _JNK7),
    _bench("m7_vfma_3acc", "m7", "copies", "vfma.f32 s0, s4, s5; vfma.f32 s1, s4, s5; vfma.f32 s2, s4, s5", 3, _JNK7),
    _bench("m7_vdiv", "m7", "copies", "vdiv.f32 s0, s1, s2", 16, _JNK7),
    _bench("m7_mispredict", "m7", "exit", "1: subs r0, #1; bne 1b", 8, _JNK7),
    _bench("m7_mispredict_early_flags", "m7", "exit", "1: subs r0, #1; nop; nop; nop; nop; nop; nop; bne 1b", 6, _JNK7),
    _bench("m33_subs_bne", "m33", "loop", "1: subs r0, #1; bne 1b", 3, _JNK33),
    _bench("m33_subs_bne_not_taken", "m33", "once", "subs r0, #1; bne 1f; nop; 1:", 1, _JNK33, filler=1),
    _bench("m33_subs_add_bne", "m33", "loop", "1: subs r7, #1; add r0, r1; bne 1b", 3, _JNK33),
    _bench("m33_subs_ldm4_bne", "m33", "loop", "1: subs r7, #1; ldmia r6!, {r0-r3}; bne 1b", 6, _JNK33),
    _bench("m33_smlal_chain", "m33", "copies", "smlal r0, r1, r2, r3", 1, _SL33),
    _bench("m33_smull_chain", "m33", "copies", "smull r0, r1, r0, r2", 2, _SL33),
    _bench("m33_eor_ror", "m33", "copies", "eor.w r0, r1, r0, ror #7", 2, _SL33),
    _bench("m33_add_lsl", "m33", "copies", "add.w r0, r1, r0, lsl #2", 1, _SL33),
    _bench("m33_ldr_chase", "m33", "copies", "ldr r0, [r0]", 2, _SL33),
    _bench("m33_ldm_n", "m33", "copies", "ldm r0, {r1-r6}", 6, _JNK33),
    _bench("m33_vfma_chain", "m33", "copies", "vfma.f32 s0, s1, s2", 3, _JNK33),
)  # fmt: skip

SECOND_HALVES = frozenset({"m33_subs_bne_not_taken", "m7_mispredict_early_flags"})
"""Rows above that belong to the published one of the shorter name."""

MEMORY_BENCHES = (
    "loop_nrfx_nrf52_uncached", "loop_blaat_m3", "m0p_ldr_sio", "rp2040_div",
    "rp2040_xip_cold_word", "m4_art_stream", "m4_art_fit", "m7_unaligned_load",
)  # fmt: skip
"""Those that need a memory system: `test_ID` in test_microbench_memory.py."""
