# SPDX-License-Identifier: MIT
"""The core models reproduce published micro-benchmarks, each within its stated tolerance."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import test_microbench_memory
from elftools.elf.elffile import ELFFile

from cycle_models.core import Core, core_names, load_core, read_core
from cycle_models.decode import Decoder
from cycle_models.profile import Block, CodeImage, Edge, Profile, Segment
from cycle_models.timing import time_profiles
from simharness.bench.microbench import CORE_BENCHES, MEMORY_BENCHES, SECOND_HALVES, Microbench

_CPU = {
    "m0": "cortex-m0",
    "m0plus": "cortex-m0plus",
    "m23": "cortex-m23",
    "m3": "cortex-m3",
    "m4": "cortex-m4+fp",
    "m7": "cortex-m7+fp.dp",
    "m33": "cortex-m33+fp",
}
_BASE = 0x1000
_NOP = b"\x00\xbf"

CASES = [pytest.param(b, c, id=f"{b.id}[{c}]") for b in CORE_BENCHES for c in b.cores]


def _core(name: str) -> Core:
    if name in core_names():
        return load_core(name)
    return read_core(Path(__file__).parent / "cores" / f"{name}.toml")


def assemble(folder: Path, core: str, text: str) -> bytes:
    """Machine code of `text`."""
    source, binary = folder / "bench.s", folder / "bench.o"
    cpu, _, fpu = _CPU[core].partition("+")
    lines = [".syntax unified", f".cpu {cpu}", ".thumb"]
    if fpu:
        lines.insert(2, ".fpu fpv5-d16" if "dp" in fpu else ".fpu fpv4-sp-d16")
    body = re.sub(r"\b1:", "1:\n", text.replace(";", "\n"))
    source.write_text("\n".join([*lines, '.section .bench,"ax"', body, ""]), encoding="utf-8")
    subprocess.run(
        ["arm-none-eabi-as", "-o", str(binary), str(source)], check=True, capture_output=True
    )
    with binary.open("rb") as file:
        return bytes(ELFFile(file).get_section_by_name(".bench").data())


def _blocks(code: bytes) -> Iterator[tuple[int, int]]:
    """Split straight-line code after each branch, as an engine would."""
    decoder = Decoder(CodeImage((Segment(_BASE, code),)))
    start = _BASE
    for i in decoder.block(_BASE, len(code)):
        if i.is_branch:
            yield start, i.end - start
            start = i.end
    if start < _BASE + len(code):
        yield start, _BASE + len(code) - start


def straight(core: Core, code: bytes) -> float:
    """Cycles of code that runs once from top to bottom."""
    blocks = [Block(a, n, 1) for a, n in _blocks(code)]
    edges = [Edge(a.address, b.address, 1) for a, b in pairwise(blocks)]
    return _cycles(core, code, blocks, edges)


def loop(core: Core, code: bytes, times: int) -> float:
    """Cycles of a block that jumps to itself `times` - 1 times and leaves."""
    blocks = [Block(_BASE, len(code), times), Block(_BASE + len(code), len(_NOP), 1)]
    edges = [Edge(_BASE, _BASE, times - 1), Edge(_BASE, _BASE + len(code), 1)]
    return _cycles(core, code + _NOP, blocks, edges)


def _cycles(core: Core, code: bytes, blocks: list[Block], edges: list[Edge]) -> float:
    profile = Profile("bench", tuple(blocks), tuple(edges))
    image = CodeImage((Segment(_BASE, code),))
    return time_profiles([profile], image, core).total.cycles.mid


def measure(bench: Microbench, core_name: str, folder: Path) -> float:
    core = _core(core_name)
    if bench.kind == "copies":
        many = straight(core, assemble(folder, core_name, "; ".join([bench.assembly] * 14)))
        few = straight(core, assemble(folder, core_name, "; ".join([bench.assembly] * 4)))
        return (many - few) / 10 - bench.filler
    code = assemble(folder, core_name, bench.assembly)
    if bench.kind in ("loop", "exit"):
        iteration = (loop(core, code, 30) - loop(core, code, 20)) / 10
        exit_cycles = loop(core, code, 30) - 30 * iteration - straight(core, _NOP)
        return (iteration if bench.kind == "loop" else exit_cycles) - bench.filler
    return straight(core, code) - bench.filler


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize(("bench", "core"), CASES)
def test_published_cycles(bench: Microbench, core: str, tmp_path: Path) -> None:
    assert abs(measure(bench, core, tmp_path) - bench.cycles) <= bench.tolerance + 1e-9


def test_68_of_68_published_rows_have_a_test() -> None:
    rows = {b.id for b in CORE_BENCHES} - SECOND_HALVES | set(MEMORY_BENCHES)
    assert len(rows) == 68
    assert all(hasattr(test_microbench_memory, f"test_{id}") for id in MEMORY_BENCHES)
