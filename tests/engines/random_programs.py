# SPDX-License-Identifier: MIT
"""Random machine code for every core, many programs in one image, built from a seed.

Each program gets registers, flags, FPU registers and 64 bytes of memory from the image's input,
runs some fifty instructions (IT blocks, branches, loops, loads and stores, DSP and FPU where the
core has them), and leaves registers, flags, FPSCR and memory in the image's output.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from simharness.toolchain import Port, Program

MEMORY_WORDS = 16
IN_WORDS = MEMORY_WORDS + 16 + 12
OUT_WORDS = MEMORY_WORDS + 12 + 2 + 16
APSR, FPSCR = MEMORY_WORDS + 12, MEMORY_WORDS + 13
"""Words of a program's output; for ARMv6-M APSR lies elsewhere, and there are no GE bits."""
LAYERS = ("net_l00_programs",)
BASE, SCRATCH = 11, 12
_CONDITIONS = ("eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_OPPOSITE = dict(zip(_CONDITIONS, (_CONDITIONS[i ^ 1] for i in range(14)), strict=True))
_HEADER = """#include <stdint.h>
int net_init(void);
int net_run(const uint32_t *, uint32_t *);
"""


def program(count: int) -> Program:
    """What `main` has to know of an image with `count` programs."""
    return Program(
        "net", "net.h",
        (Port("uint32_t", count * IN_WORDS),), (Port("uint32_t", count * OUT_WORDS),),
    )  # fmt: skip


def sources(core: str, count: int, seed: int, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The C of an image with `count` programs; none has an instruction of `without`."""
    rng = random.Random(f"{core} {seed}")
    build = _small if core == "m0plus" else _large
    texts: list[str] = []
    while len(texts) < count:
        text = build(core, len(texts), rng)
        if not any(f"\n{name}" in text for name in without):
            texts.append(text)
    names = ", ".join(f"program_{n}" for n in range(count))
    return {
        "net.h": _HEADER,
        "net.c": _HEADER
        + "".join(f"void program_{n}(const uint32_t *, uint32_t *);\n" for n in range(count))
        + f"""
static void (*const programs[])(const uint32_t *, uint32_t *) = {{{names}}};
__attribute__((noinline)) static void net_l00_programs(const uint32_t *x, uint32_t *y) {{
  for (int i = 0; i < {count}; i++, x += {IN_WORDS}, y += {OUT_WORDS}) {{
    for (int k = 0; k < {MEMORY_WORDS}; k++) y[k] = x[k];
    programs[i](x + {MEMORY_WORDS}, y);
  }}
}}
int net_init(void) {{ return 0; }}
int net_run(const uint32_t *x, uint32_t *y) {{
  net_l00_programs(x, y);
  return 0;
}}
""",
        "programs.c": "__asm__(\n"
        + "".join(f'"{line}\\n"\n' for text in texts for line in text.splitlines())
        + ");\n",
    }


def inputs(count: int, seed: int) -> bytes:
    """Registers and memory of all programs: random words, and floats of ordinary and odd values."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 32, (count, IN_WORDS), dtype=np.uint32)
    small = rng.random((count, IN_WORDS)) < 0.3
    words[small] = rng.integers(-4, 5, int(small.sum())).astype(np.int32).view(np.uint32)
    floats = (rng.standard_normal((count, 16)) * 10.0 ** rng.integers(-3, 9, (count, 16))).astype(
        np.float32
    )
    odd = np.array([0.0, -0.0, np.inf, -np.inf, 1.5, 2.5, -0.5, 1e-42], np.float32)
    strange = rng.random((count, 16)) < 0.15
    floats[strange] = odd[rng.integers(0, len(odd), int(strange.sum()))]
    words[:, MEMORY_WORDS : MEMORY_WORDS + 16] = floats.view(np.uint32)
    return words.tobytes()


def _frame(number: int, body: list[str]) -> str:
    return "\n".join((
        ".syntax unified", ".text", ".thumb", ".balign 4", f".global program_{number}",
        f".type program_{number}, %function", ".thumb_func", f"program_{number}:", *body,
        f".size program_{number}, . - program_{number}",
    ))  # fmt: skip


def _small(core: str, number: int, rng: random.Random) -> str:
    """ARMv6-M: registers r0 to r6, base r7."""

    def low() -> str:
        return f"r{rng.randrange(7)}"

    def one(n: int) -> list[str]:
        a, b, c = low(), low(), low()
        kind = rng.randrange(9)
        if kind == 0:
            return [f"{rng.choice(('adds', 'subs'))} {a}, {b}, {c}"]
        if kind == 1:
            names = (
                "ands",
                "orrs",
                "eors",
                "bics",
                "adcs",
                "sbcs",
                "mvns",
                "lsls",
                "lsrs",
                "asrs",
                "rors",
            )
            return [f"{rng.choice(names)} {a}, {b}"]
        if kind == 2:
            return [f"muls {a}, {b}, {a}", f"rsbs {c}, {a}, #0"]
        if kind == 3:
            return [f"{rng.choice(('lsls', 'lsrs', 'asrs'))} {a}, {b}, #{rng.randrange(1, 32)}"]
        if kind == 4:
            names = ("rev", "rev16", "revsh", "sxtb", "sxth", "uxtb", "uxth")
            return [f"{rng.choice(names)} {a}, {b}"]
        if kind == 5:
            name, size = rng.choice(
                (("ldr", 4), ("str", 4), ("ldrh", 2), ("strh", 2), ("ldrb", 1), ("strb", 1))
            )
            top = 64 if size > 1 else 32
            return [f"{name} {a}, [r7, #{rng.randrange(top // size) * size}]"]
        if kind == 6:
            name = rng.choice(("ldrsb", "ldrsh", "ldr", "strb", "strh"))
            keep = rng.choice([r for r in range(7) if f"r{r}" != a])
            mask = 60
            return [f"movs r{keep}, #{mask}", f"ands r{keep}, {b}", f"{name} {a}, [r7, r{keep}]"]
        if kind == 7:
            return [
                f"{rng.choice(('cmp', 'cmn', 'tst'))} {a}, {b}",
                f"b{rng.choice(_CONDITIONS)} .Ls{number}_{n}", f"adds {c}, #{rng.randrange(256)}",
                f"mov {a}, {c}", f".Ls{number}_{n}:",
            ]  # fmt: skip
        return [f"{rng.choice(('movs', 'adds', 'subs', 'cmp'))} {a}, #{rng.randrange(256)}"]

    body = ["push {r4-r7, lr}", "mov r7, r1", "adds r0, #64", "ldm r0, {r0-r6}"]
    for n in range(40):
        body += one(n)
    body += [f"str r{r}, [r7, #{64 + 4 * r}]" for r in range(7)]
    body += ["mrs r0, apsr", "str r0, [r7, #92]", "pop {r4-r7, pc}"]
    return _frame(number, body)


def _large(core: str, number: int, rng: random.Random) -> str:
    """ARMv7-M and ARMv8-M: registers r0 to r10, base r11, scratch r12, s0 to s15."""
    dsp, fpu, fpv5 = core != "m3", core != "m3", core in ("m7", "m33")

    def reg() -> str:
        return f"r{rng.randrange(11)}"

    def two() -> tuple[str, str]:
        a, b = rng.sample(range(11), 2)
        return f"r{a}", f"r{b}"

    def s() -> str:
        return f"s{rng.randrange(16)}"

    def arithmetic(flags: bool) -> str:
        name = rng.choice(("add", "sub", "and", "orr", "eor", "bic", "adc", "sbc", "rsb", "orn"))
        suffix = "s" if flags and rng.random() < 0.5 else ""
        last = rng.choice((
            reg(), f"{reg()}, {rng.choice(('lsl', 'lsr', 'asr', 'ror'))} #{rng.randrange(1, 32)}",
            f"#{rng.choice((rng.randrange(256), 0x00FF00FF, 0xFF00FF00, 0x7F000000))}",
        ))  # fmt: skip
        return f"{name}{suffix} {reg()}, {reg()}, {last}"

    def multiply() -> str:
        a, b = two()
        return rng.choice((
            f"mul {a}, {reg()}, {reg()}", f"mla {a}, {reg()}, {reg()}, {reg()}",
            f"mls {a}, {reg()}, {reg()}, {reg()}", f"umull {a}, {b}, {reg()}, {reg()}",
            f"smull {a}, {b}, {reg()}, {reg()}", f"smlal {a}, {b}, {reg()}, {reg()}",
            f"umlal {a}, {b}, {reg()}, {reg()}", f"sdiv {a}, {reg()}, {reg()}",
            f"udiv {a}, {reg()}, {reg()}",
        ))  # fmt: skip

    def bits() -> str:
        at = rng.randrange(32)
        width = rng.randrange(1, 33 - at)
        return rng.choice((
            f"clz {reg()}, {reg()}", f"rbit {reg()}, {reg()}", f"rev {reg()}, {reg()}",
            f"rev16 {reg()}, {reg()}", f"revsh {reg()}, {reg()}", f"sxtb {reg()}, {reg()}, ror #8",
            f"uxth {reg()}, {reg()}, ror #16", f"bfi {reg()}, {reg()}, #{at}, #{width}",
            f"bfc {reg()}, #{at}, #{width}", f"ubfx {reg()}, {reg()}, #{at}, #{width}",
            f"sbfx {reg()}, {reg()}, #{at}, #{width}", f"movw {reg()}, #{rng.randrange(65536)}",
            f"movt {reg()}, #{rng.randrange(65536)}", f"mvn {reg()}, {reg()}",
            f"ssat {reg()}, #{rng.randrange(1, 33)}, {reg()}, asr #{rng.randrange(1, 32)}",
            f"usat {reg()}, #{rng.randrange(32)}, {reg()}, lsl #{rng.randrange(32)}",
            f"{rng.choice(('lsl', 'lsr', 'asr', 'ror'))} {reg()}, {reg()}, {reg()}",
        ))  # fmt: skip

    def access() -> str:
        name, size = rng.choice((
            ("ldr", 4), ("str", 4), ("ldrh", 2), ("strh", 2), ("ldrb", 1), ("strb", 1),
            ("ldrsb", 1), ("ldrsh", 2), ("ldrd", 8), ("strd", 8), ("vldr", 4), ("vstr", 4),
        ))  # fmt: skip
        offset = rng.randrange(64 // size) * size
        if size == 8:
            a, b = two()
            return f"{name} {a}, {b}, [r{BASE}, #{offset}]"
        if name[0] == "v":
            return f"{name} {s()}, [r{BASE}, #{offset}]" if fpu else f"ldr {reg()}, [r{BASE}]"
        return f"{name} {reg()}, [r{BASE}, #{offset}]"

    def packed() -> str:
        a, b = two()
        three = (
            "smlad",
            "smladx",
            "smlsd",
            "smlabb",
            "smlatt",
            "smlawb",
            "smmla",
            "smmlar",
            "smmls",
            "usada8",
        )
        plain = (
            *("smuad", "smusd", "smulbb", "smultb", "smulwt", "smmul", "smmulr", "qadd", "qsub"),
            *("qdadd", "sadd8", "uadd8", "ssub16", "usub8", "shadd16", "uhsub8", "qadd8"),
            *("uqsub16", "sasx", "sel", "usad8", "sxtab16", "uxtab", "sxtah"),
        )
        long = ("smlald", "smlaldx", "smlsld", "smlalbb", "umaal")
        return rng.choice((
            f"{rng.choice(three)} {a}, {reg()}, {reg()}, {reg()}",
            f"{rng.choice(plain)} {a}, {reg()}, {reg()}",
            f"{rng.choice(long)} {a}, {b}, {reg()}, {reg()}",
            f"pkhbt {a}, {reg()}, {reg()}, lsl #{rng.randrange(1, 32)}",
            f"pkhtb {a}, {reg()}, {reg()}, asr #{rng.randrange(1, 32)}",
            f"sxtb16 {a}, {reg()}, ror #8", f"uxtb16 {a}, {reg()}",
            f"ssat16 {a}, #{rng.randrange(1, 17)}, {reg()}",
            f"usat16 {a}, #{rng.randrange(16)}, {reg()}",
        ))  # fmt: skip

    def floating() -> str:
        three = ("vadd", "vsub", "vmul", "vdiv", "vfma", "vfms", "vfnma", "vnmul", "vmla", "vmls")
        options = [
            f"{rng.choice(three)}.f32 {s()}, {s()}, {s()}",
            f"{rng.choice(('vsqrt', 'vneg', 'vabs', 'vmov'))}.f32 {s()}, {s()}",
            f"vcvt{rng.choice(('', 'r'))}.{rng.choice(('s32', 'u32'))}.f32 {s()}, {s()}",
            f"vcvt.f32.{rng.choice(('s32', 'u32'))} {s()}, {s()}",
            f"vmov {s()}, {reg()}",
            f"vmov {reg()}, {s()}",
            f"vmov.f32 {s()}, #1.5",
            f"vcvtb.f16.f32 {s()}, {s()}",
        ]
        if fpv5:
            options += [
                f"{rng.choice(('vrinta', 'vrintn', 'vrintm', 'vrintp'))}.f32 {s()}, {s()}",
                f"{rng.choice(('vmaxnm', 'vminnm'))}.f32 {s()}, {s()}, {s()}",
                f"vcvta.s32.f32 {s()}, {s()}", f"vselgt.f32 {s()}, {s()}, {s()}",
            ]  # fmt: skip
        return rng.choice(options)

    def plain(flags: bool = True) -> str:
        makers: list[Callable[[], str]] = [lambda: arithmetic(flags), multiply, bits, access]
        makers += [packed] * dsp + [floating] * fpu
        return rng.choice(makers)()

    def it_block() -> list[str]:
        condition = rng.choice(_CONDITIONS)
        pattern = [True] + [rng.random() < 0.5 for _ in range(rng.randrange(4))]
        lines = [f"i{''.join('t' if p else 'e' for p in pattern)} {condition}"]
        for same in pattern:
            line = plain(False)
            while line.startswith(("vsel", "vrint", "vmaxnm", "vminnm", "vcvta")):  # never in IT
                line = plain(False)
            name, rest = line.split(" ", 1)
            head, *tail = name.split(".", 1)
            name = head + (condition if same else _OPPOSITE[condition])
            lines.append(f"{'.'.join((name, *tail))} {rest}")
        return lines

    def one(n: int) -> list[str]:
        kind = rng.randrange(10)
        label = f".Ll{number}_{n}"
        if kind < 2:
            test = f"{rng.choice(('cmp', 'cmn', 'tst', 'teq'))} {reg()}, {reg()}"
            if fpu and rng.random() < 0.3:
                return [f"vcmp.f32 {s()}, {s()}", "vmrs APSR_nzcv, fpscr", *it_block()]
            return [test, *it_block()]
        if kind == 2:
            branch = rng.choice(
                (f"b{rng.choice(_CONDITIONS)} {label}", f"cbz r{rng.randrange(8)}, {label}")
            )
            return [branch, *(plain() for _ in range(rng.randrange(1, 4))), f"{label}:"]
        if kind == 3:
            index = f"r{SCRATCH}"
            name = rng.choice(("ldr", "str", "ldrb", "strh", "ldrsh"))
            return [f"and {index}, {reg()}, #60", f"{name} {reg()}, [r{BASE}, {index}]"]
        if kind == 4:
            loop = [plain() for _ in range(rng.randrange(1, 4))]
            return [f"mov r{SCRATCH}, #{rng.randrange(1, 6)}", f"{label}:", *loop,
                    f"subs r{SCRATCH}, #1", f"bne {label}"]  # fmt: skip
        return [plain()]

    body = ["push {r4-r11, lr}", f"mov r{BASE}, r1"]
    body += ["vldmia r0!, {s0-s15}", "mov r1, #0", "vmsr fpscr, r1"] if fpu else ["add r0, #64"]
    body += ["ldm r0, {r0-r10}", f"msr {'APSR_nzcvqg' if dsp else 'APSR_nzcvq'}, r10"]
    for n in range(35):
        body += one(n)
    body += [f"str r{r}, [r{BASE}, #{64 + 4 * r}]" for r in range(11)]
    body += ["mrs r0, apsr", f"str r0, [r{BASE}, #{64 + 48}]"]
    if fpu:
        body += ["vmrs r0, fpscr", f"str r0, [r{BASE}, #{64 + 52}]"]
        body += [f"add r0, r{BASE}, #{64 + 56}", "vstmia r0, {s0-s15}"]
    body += ["pop {r4-r11, pc}"]
    return _frame(number, body)
