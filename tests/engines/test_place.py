# SPDX-License-Identifier: MIT
"""`--place`: contents lie where they were asked to, run there, and are timed there."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

import simharness
from cycle_models.chip import load_chip
from simharness import elf, pipeline, zoo
from simharness.errors import UsageError
from simharness.report import Report
from simharness.toolchain import Built, build
from simharness.toolchain.placement import Asked

MODEL = "zoo:lenet5-int8"
SYMBOLS = {"code": "sim_invoke", "data": "sim_in0", "arena": "sim_arena_start"}


def run(board: str, place: str, engine: str = "unicorn", toolchain: str = "auto") -> Report:
    return simharness.run(
        MODEL, board=board, place=place, engine=engine, samples=2, toolchain=toolchain
    )


def built(board: str, place: str, toolchain: str = "auto") -> Built:
    machine = pipeline.machine_for(None, board, None, place)
    wanted = pipeline.wishes("balanced", "exact", "auto", False)
    compiled = pipeline.generate(zoo.resolve(MODEL), machine.core, wanted)
    return pipeline.link(compiled, machine, toolchain)


@pytest.mark.parametrize("toolchain", ["auto", "zig"])
@pytest.mark.parametrize(
    ("board", "place"),
    [
        ("STM32F746", "code=itcm,weights=sram,arena=dtcm"),
        ("STM32H7A3", "code=sram,weights=itcm,data=sram_cd,arena=sram_srd,stack=sram"),
        ("RP2040", "code=sram,weights=sram"),
        ("STM32U575", "arena=sram4,data=sram4,stack=sram4"),
    ],
)
def test_everything_lies_where_it_was_asked_to_and_computes_the_same(
    board: str, place: str, toolchain: str
) -> None:
    machine = pipeline.machine_for(None, board, None, place)
    made = built(board, place, toolchain)
    chip, image = machine.chip, made.image

    assert made.fit.ok
    for kind, memory in (part.split("=") for part in place.split(",")):
        home = chip.memory(memory)
        if kind in SYMBOLS:
            assert home.origin <= image.symbols[SYMBOLS[kind]].address < home.end
        if kind == "weights":
            address, size = elf.parse(image.elf).places[".rodata"]
            assert home.origin <= address < address + size <= home.end
    assert all(image.symbols[s].address for s in SYMBOLS.values())
    assert run(board, place, toolchain=toolchain).ok


def test_what_lies_in_ram_is_loaded_from_flash_and_counted_there() -> None:
    usual, fast = run("STM32F746", ""), run("STM32F746", "code=itcm,weights=sram")
    places = {m.name: m.used_bytes for m in fast.results.fit.memories}

    assert fast.results.placement is not None
    assert (fast.results.placement.code, fast.results.placement.weights) == ("itcm", "sram")
    assert places["flash"] >= usual.results.memory.flash_bytes
    assert places["flash"] == pytest.approx(fast.results.memory.flash_bytes, abs=64)
    assert places["itcm"] > 2000
    assert places["sram"] > fast.results.memory.weights_bytes + fast.results.memory.arena_bytes


def stalls(board: str, place: str) -> Mapping[str, int]:
    found = run(board, place).results
    assert found.timing is not None
    assert found.timing.mode == "memory"
    return found.timing.parts


@pytest.mark.parametrize("board", ["STM32F746", "STM32H7A3"])
def test_modelled_stalls_follow_the_addresses(board: str) -> None:
    usual = stalls(board, "")

    assert usual["fetch_stalls"] > 0
    assert usual["data_stalls"] > 0
    assert stalls(board, "code=itcm")["fetch_stalls"] == 0
    assert stalls(board, "arena=dtcm")["data_stalls"] < usual["data_stalls"]
    assert stalls(board, "weights=dtcm")["data_stalls"] < usual["data_stalls"]


@pytest.mark.parametrize("board", ["STM32F746", "STM32H7A3"])
def test_a_program_in_tightly_coupled_memory_never_waits_for_memory(board: str) -> None:
    """But for unaligned accesses (3 cycles each), which only memory mode sees."""
    place = "code=itcm,weights=dtcm,arena=dtcm"
    found = stalls(board, place)
    instant = simharness.run(MODEL, board=board, place=place, samples=1, timing="zero-wait").results

    assert instant.timing is not None
    more = {part: n - instant.timing.parts[part] for part, n in found.items()}
    unaligned = more.pop("data_stalls")
    assert set(more.values()) == {0}
    assert unaligned % 3 == 0
    assert unaligned < 0.03 * sum(found.values())


def test_external_memory_is_slow() -> None:
    weights, arena = stalls("STM32F746", "weights=qspi"), stalls("STM32F746", "arena=sdram")

    assert weights["external"] > 100_000
    assert arena["external"] > 0
    assert stalls("STM32F746", "arena=sram")["external"] == 0


@pytest.mark.parametrize("toolchain", ["auto", "zig"])
def test_code_runs_at_the_second_address_of_the_flash(toolchain: str) -> None:
    """On Cortex-M7 of STM32F7 that is the ITCM bus, behind the ART accelerator, not behind AXI."""
    made = built("STM32F746", "code=flash_itcm", toolchain)
    chip, image = load_chip("STM32F746"), made.image
    flash, mirror = chip.memory("flash"), chip.memory("flash_itcm")
    parsed = elf.parse(image.elf)
    address, size = parsed.places[".text"]
    there = address - mirror.origin + flash.origin
    loaded = {s.address: s.data for s in parsed.load}

    assert mirror.origin < address < address + size <= mirror.end
    assert any(a <= there and there + size <= a + len(data) for a, data in loaded.items())
    assert run("STM32F746", "code=flash_itcm", toolchain=toolchain).ok


def test_an_overflowing_wish_is_a_program_that_does_not_fit() -> None:
    found = run("STM32F746", "weights=itcm")
    fit = {m.name: m.shortfall_bytes for m in found.results.fit.memories}

    assert not found.ok
    assert 30_000 < fit["itcm"] < 32_000
    assert not fit["dtcm"]
    assert found.results.placement is not None
    assert found.results.placement.data == "dtcm"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (
            "weights=rom",
            "no memory 'rom'; it has itcm (16 KiB), flash_itcm (1024 KiB, read-only), flash (1",
        ),
        ("kernels=itcm", "kinds are code, weights, data, arena, stack"),
        ("itcm", "write KIND=MEMORY"),
        ("code=itcm,code=sram", "placed twice"),
        ("arena=flash", "flash of STM32F746 cannot be written"),
        ("code=dtcm", "cannot execute from dtcm"),
        ("weights=flash_itcm", "flash_itcm is flash again, for code only"),
        ("data=sram_unstriped", "no memory 'sram_unstriped'"),
    ],
)
def test_a_wrong_wish_is_refused(place: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        run("STM32F746", place)
    assert words in str(error.value)


def test_too_much_for_a_memory_that_touches_the_next_is_refused_with_its_bytes() -> None:
    source = "extern char big[]; char big[70000];"
    with pytest.raises(UsageError, match=r"dtcm has 65,536 bytes, 8,\d\d\d too few .*data 7"):
        build(
            {"net.c": source}, "m7", load_chip("STM32F746"), keep_all=True,
            place=Asked(data="dtcm", arena=("sram",)),
        )  # fmt: skip


@pytest.mark.needs("qemu", "arm-none-eabi-gcc")
@pytest.mark.parametrize(
    ("board", "place"),
    [("STM32F207", "code=sram"), ("STM32F746", "code=itcm,weights=dtcm"), ("RP2040", "code=sram")],
)
def test_qemu_takes_the_placement(board: str, place: str) -> None:
    ours, qemus = run(board, place), run(board, place, "qemu")

    assert qemus.ok
    assert ours.results.instructions == qemus.results.instructions
    # Start-up code reaches code in RAM by a veneer, which QEMU's image lacks: flash shifts.
    assert ours.results.cycles is not None and qemus.results.cycles is not None
    assert qemus.results.cycles.mid == pytest.approx(ours.results.cycles.mid, rel=1e-3)
    assert qemus.results.timing is not None and qemus.results.timing.mode == "memory"


@pytest.mark.needs("qemu", "arm-none-eabi-gcc")
def test_qemu_refuses_what_it_has_no_room_for() -> None:
    with pytest.raises(UsageError, match=r"mps2-an500 has .* no place for sdram"):
        run("STM32F746", "weights=sdram", "qemu")


@pytest.mark.needs("renode", "arm-none-eabi-gcc")
def test_renode_takes_the_placement() -> None:
    place = "code=itcm,weights=sram,arena=dtcm"
    ours, renodes = run("STM32F746", place), run("STM32F746", place, "renode")

    assert renodes.ok
    assert ours.results.instructions == renodes.results.instructions


SCRIPT = """
MEMORY
{
  itcm : ORIGIN = 0, LENGTH = 16K
  flash : ORIGIN = 0x08000000, LENGTH = 1024K
  dtcm : ORIGIN = 0x20000000, LENGTH = 64K
  sram : ORIGIN = 0x20010000, LENGTH = 256K
}
SECTIONS
{
  INCLUDE net_place.ld
  .text : { *(.text .text.* .rodata .rodata.*) } > flash
  .bss (NOLOAD) : { *(.bss .bss.*) } > dtcm
}
"""
MAIN = """
#include "net.h"
#include <string.h>
static int8_t in[net_INPUT0_COUNT], out[net_OUTPUT0_COUNT];
int main(void);
int main(void) { return net_init() + net_run(in, out); }
void *memcpy(void *a, const void *b, size_t n) { (void)b; (void)n; return a; }
void *memset(void *a, int b, size_t n) { (void)b; (void)n; return a; }
"""


@pytest.mark.needs("arm-none-eabi-gcc")
def test_build_writes_a_linker_script_for_projects_of_ones_own(tmp_path: Path) -> None:
    place = "code=itcm,weights=sram,arena=itcm+dtcm,data=dtcm,stack=dtcm"
    files = simharness.build(MODEL, tmp_path, board="STM32F746", place=place, name="net")
    (tmp_path / "all.ld").write_text(SCRIPT)
    (tmp_path / "main.c").write_text(MAIN)
    subprocess.run(
        ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16",
         "-O2", "-std=c99", "-ffunction-sections", "-fdata-sections", "-nostartfiles", "-nostdlib",
         "-I.", "-T", "all.ld", "-e", "main", "-Wl,--no-warn-rwx-segments",
         "main.c", "net.c", "net_weights.c", "-lgcc", "-o", "net.elf"),
        cwd=tmp_path, check=True,
    )  # fmt: skip
    symbols = elf.parse((tmp_path / "net.elf").read_bytes()).symbols
    chip = load_chip("STM32F746")

    def home(symbol: str) -> str:
        found = chip.memory_at(symbols[symbol].address)
        return found.name if found else ""

    assert (tmp_path / "net_place.ld") in files
    assert home("net_run") == "itcm"
    assert home("net_code_load") == home("net_weights_load") == "flash"
    tables = [s.name for s in symbols.values() if s.kind == "object" and s.name.startswith("net_l")]
    assert {home(name) for name in tables} == {"sram"}
    assert {home(s) for s in symbols if s.startswith("net_arena_")} <= {"itcm", "dtcm"}
    assert home("main") == "flash"
