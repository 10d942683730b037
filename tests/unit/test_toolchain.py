# SPDX-License-Identifier: MIT
"""Sources become images: flags and versions recorded, fit told to the byte, errors in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from simharness import toolchain
from simharness.engines.unicorn_cpu import Cpu
from simharness.errors import BuildError, ToolMissingError, UsageError
from simharness.image import Image, Memory
from simharness.machine import Machine
from simharness.toolchain import Port, Program, build, compilers

CORES = ("m0plus", "m3", "m4", "m7", "m33")
HEADER = "#include <stdint.h>\nint net_init(void);\nint net_run(const int8_t *, int8_t *);\n"
PROGRAM = Program("net", "net.h", (Port("int8_t", 16),), (Port("int8_t", 16),))


def sources(arena_bytes: int = 256, weights: int = 64) -> dict[str, str]:
    return {
        "net.h": HEADER,
        "net.c": f"""
            #include "net.h"
            int8_t net_arena[{arena_bytes}];
            static const int8_t weights[{weights}] = {{1, 2, 3}};
            int32_t counter = 41;
            int32_t nothing;
            int net_init(void) {{ counter++; return 0; }}
            int net_run(const int8_t *x, int8_t *y) {{
              for (int i = 0; i < 16; i++) net_arena[i] = (int8_t)(x[i] + weights[x[i] & 63]);
              for (int i = 0; i < 16; i++) y[i] = net_arena[15 - i];
              return nothing;
            }}
        """,
    }


def chip(flash_bytes: int, ram_bytes: int) -> tuple[Memory, ...]:
    return (
        Memory("flash", 0x0800_0000, flash_bytes, False),
        Memory("sram", 0x2000_0000, ram_bytes, True),
    )


@dataclass(frozen=True)
class SomeMemory:
    name: str
    kind: str
    origin: int
    size_bytes: int
    writable: bool = True
    alias_of: str = ""


@dataclass(frozen=True)
class SomeChip:
    memories: tuple[SomeMemory, ...]
    placement: Mapping[str, str] = field(
        default_factory=lambda: {
            "code": "flash", "weights": "flash", "data": "dtcm", "arena": "dtcm", "stack": "dtcm",
        }
    )  # fmt: skip


BIG = SomeChip((
    SomeMemory("itcm", "tcm", 0, 1 << 20),
    SomeMemory("flash", "flash", 0x0800_0000, 1 << 20, writable=False),
    SomeMemory("dtcm", "tcm", 0x2000_0000, 16 << 10),
    SomeMemory("axi sram", "sram", 0x2400_0000, 64 << 10),
    SomeMemory("mirror", "sram", 0x3400_0000, 1 << 20, alias_of="axi sram"),
    SomeMemory("sdram", "external", 0xC000_0000, 8 << 20),
))  # fmt: skip


@pytest.mark.parametrize("name", ["gcc", "zig"])
def test_an_image_says_how_it_was_built(name: str, request: pytest.FixtureRequest) -> None:
    if name == "gcc" and compilers.shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    built = build(sources(), "m4", program=PROGRAM, toolchain=name)
    recorded = built.image.toolchain

    assert recorded is not None
    assert recorded.name == name
    assert any(c.isdigit() for c in recorded.version)
    assert "-ffp-contract=off" in recorded.flags
    assert not [f for f in recorded.flags if "/" in f]


@pytest.mark.parametrize("name", ["auto", "zig"])
def test_same_sources_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simharness.cache.get", lambda *_: None)
    one = build(sources(), "m4", program=PROGRAM, toolchain=name)
    two = build(sources(), "m4", program=PROGRAM, toolchain=name)

    assert one.image.elf == two.image.elf


def test_a_second_build_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path))
    if compilers.shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("zig would build its library anew")
    first = build(sources(), "m4", program=PROGRAM)

    def refuse(*_: object) -> None:
        raise AssertionError("the compiler ran again")

    monkeypatch.setattr(compilers, "run", refuse)
    assert build(sources(), "m4", program=PROGRAM).image.elf == first.image.elf
    with pytest.raises(AssertionError, match="ran again"):
        build(sources(weights=65), "m4", program=PROGRAM)


def test_unknown_names_name_the_known_ones() -> None:
    with pytest.raises(UsageError, match="auto, gcc, zig"):
        build(sources(), "m4", toolchain="clang")
    with pytest.raises(UsageError, match="m0plus, m3, m4, m7, m33"):
        build(sources(), "m55")


def test_a_missing_compiler_comes_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers.shutil, "which", lambda *_, **__: None)

    with pytest.raises(ToolMissingError, match="apt-get install gcc-arm-none-eabi") as gcc:
        compilers.find("gcc")
    with pytest.raises(ToolMissingError, match="pip install ziglang"):
        compilers.find("auto")
    assert gcc.value.exit_code == 3


def test_the_compilers_words_are_passed_on() -> None:
    with pytest.raises(BuildError, match=r"net\.c:1:.*error"):
        build({"net.c": "int f(void) { return nonsense; }"}, "m4")


@pytest.mark.parametrize("name", ["../x.c", "/x.c", "a b.c", "x;y.c", "-o.c", "a/../../x.c"])
def test_a_source_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="plain relative path"):
        build({name: ""}, "m4")


def test_what_fits_exactly_fits_and_a_byte_less_does_not() -> None:
    uses = {u.memory: u for u in build(sources(), "m4", program=PROGRAM).fit.uses}
    flash, ram = uses["flash"].used_bytes, uses["ram"].used_bytes

    exact = build(sources(), "m4", chip(flash, ram), program=PROGRAM)
    short = build(sources(), "m4", chip(flash - 1, ram - 100), program=PROGRAM)

    assert exact.fit.ok
    assert not exact.image.enlarged
    assert not short.fit.ok
    assert short.image.enlarged
    assert [u.shortfall_bytes for u in short.fit.uses] == [1, 100]


def test_guard_zones_and_start_up_do_not_count_as_ram() -> None:
    """Stack, arena and buffers are all there is."""
    fit = build(sources(arena_bytes=1000), "m4", program=PROGRAM, stack_bytes=2048).fit
    ram = next(u for u in fit.uses if u.memory == "ram")
    variables = 2 * 4 + 2 * 16

    assert ram.used_bytes - 1000 - 2048 - variables in range(32)  # alignment


def test_an_image_that_does_not_fit_still_runs_enlarged() -> None:
    built = build(sources(100_000), "m4", chip(16 << 10, 16 << 10), program=PROGRAM)
    m = Machine("m4", built.image)

    assert built.image.enlarged
    assert m.call("sim_invoke") == 0


@pytest.mark.parametrize(
    ("arena_bytes", "arena", "ok"),
    [(8_000, "dtcm", True), (20_000, "axi sram", True), (70_000, "axi sram", False)],
)
def test_the_arena_moves_to_where_it_fits(arena_bytes: int, arena: str, ok: bool) -> None:
    """But never to memory outside the chip, to a mirror, or to address 0."""
    built = build(sources(arena_bytes), "m7", BIG, program=PROGRAM)

    assert built.placement.arena == (arena,)
    assert built.fit.ok is ok
    assert "mirror" not in {m.name for m in built.image.memories}


def test_a_nearly_full_memory_leaves_its_neighbour_alone() -> None:
    """Guard zones need room that is not there between two memories that touch."""
    touching = SomeChip((
        SomeMemory("flash", "flash", 0x0800_0000, 1 << 20, writable=False),
        SomeMemory("dtcm", "tcm", 0x2000_0000, 16 << 10),
        SomeMemory("sram", "sram", 0x2000_4000, 64 << 10),
    ))  # fmt: skip
    placements = []
    for arena_bytes in range(11_900, 12_300, 56):
        wish = {**touching.placement, "arena": "sram", "weights": "sram"}
        built = build(sources(arena_bytes), "m7", SomeChip(touching.memories), program=PROGRAM)
        both = build(
            sources(64), "m7", SomeChip(touching.memories, wish), program=PROGRAM,
            stack_bytes=arena_bytes + 4096 - 64,
        )  # fmt: skip
        assert built.fit.ok
        assert both.fit.ok
        placements.append(built.placement.arena)
        Cpu(built.image).boot()
        Cpu(both.image).boot()

    assert placements[0] == ("dtcm",)
    assert placements[-1] == ("sram",)


def test_weights_are_copied_into_writable_memory() -> None:
    wish = {**BIG.placement, "weights": "axi sram"}
    built = build(sources(), "m7", SomeChip(BIG.memories, wish), program=PROGRAM)
    place = built.image.symbols.get("weights")
    cpu = Cpu(built.image)
    for region in cpu.regions:  # undo the loader's help: the start-up code has to copy
        if region.memory.name == "axi sram":
            region.data[:] = 0xCD
    cpu.boot()

    assert place is not None
    assert place.address >> 24 == 0x24
    assert cpu.view(place.address, 4).tolist() == [1, 2, 3, 0]


def _boot_on_dirty_memory(image: Image) -> Cpu:
    cpu = Cpu(image)
    for region in cpu.regions:
        if region.memory.writable:
            region.data[:] = 0xCD
    cpu.boot()
    return cpu


@pytest.mark.parametrize("core", CORES)
def test_start_up_makes_a_c_program_s_world(core: str) -> None:
    """.data is copied, .bss and arena are zero, init ran, the FPU is on, SP is a multiple of 8."""
    built = build(sources(), core, program=PROGRAM, keep_all=True)
    cpu = _boot_on_dirty_memory(built.image)

    def word(symbol: str) -> int:
        return int(cpu.view(built.image.symbols[symbol].address, 4).view(np.uint32)[0])

    arena = built.image.symbols["net_arena"]
    assert word("counter") == 42
    assert word("nothing") == 0
    assert not cpu.view(arena.address, arena.size_bytes).any()
    assert cpu.stack_top % 8 == 0
    cpacr = int.from_bytes(cpu.uc.mem_read(0xE000_ED88, 4), "little")
    assert cpacr == (0xF << 20 if core in ("m4", "m7", "m33") else 0)


def test_the_layers_symbols_survive_the_optimizer() -> None:
    """A layer function stays a function of its own, under its own name or a clone's."""
    text = """
        __attribute__((noinline)) static int net_l00_f(int a, int b) { return a + b; }
        int go(int a) { return net_l00_f(a, 3); }
    """
    image = build({"k.c": text}, "m4", keep_all=True, layers=("net_l00_f",)).image

    assert Cpu(image).layers[0].size_bytes > 0
    with pytest.raises(UsageError, match="net_l01_g; was it inlined"):
        Cpu(build({"k.c": text}, "m4", keep_all=True, layers=("net_l01_g",)).image)


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("core", CORES)
def test_both_compilers_give_the_same_integers(core: str) -> None:
    text = """
        #include <stdint.h>
        int32_t mix(const int8_t *a, int32_t n, int32_t k) {
          uint32_t h = 7; int64_t wide = k;
          for (int32_t i = 0; i < n; i++) {
            wide = wide * 31 + a[i] / (k | 1) + (int64_t)(a[i] % (k | 3));
            h = (h << 5 | h >> 27) ^ (uint32_t)(wide >> 13);
          }
          return (int32_t)h;
        }
    """
    rng = np.random.default_rng(5)
    machines = [Machine(core, {"k.c": text}, toolchain=t) for t in ("gcc", "zig")]
    for _ in range(50):
        a = rng.integers(-128, 128, 37, dtype=np.int8)
        k = int(rng.integers(-1000, 1000))
        one, two = (m.call("mix", a, a.size, k) for m in machines)
        assert one == two


@pytest.mark.needs("arm-none-eabi-gcc")
def test_both_compilers_give_the_same_floats() -> None:
    """No contraction to fused multiply-add."""
    text = "float f(float a, float b, float c) { return a * b + c; }"
    rng = np.random.default_rng(5)
    for core in ("m0plus", "m4", "m7", "m33"):
        machines = [Machine(core, {"k.c": text}, toolchain=t) for t in ("gcc", "zig")]
        for a, b, c in rng.normal(size=(50, 3)).astype(np.float32):
            expected = np.float32(a * b) + c
            assert [m.call("f", a, b, c, returns="float") for m in machines] == [expected] * 2


def test_sections_and_symbols_have_sizes() -> None:
    image = build(sources(weights=5000), "m4", program=PROGRAM).image

    assert image.sections[".rodata"] >= 5000
    assert image.symbols["net_run"].size_bytes > 0
    assert image.symbols["net_arena"].size_bytes == 256
    assert image.sections[".stack"] - 64 == toolchain.STACK_BYTES
