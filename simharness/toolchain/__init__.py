# SPDX-License-Identifier: MIT
"""C sources in, a linked program out: `build` is the one door.

built = build({"model.c": text, ...}, "m4", load_chip("STM32F446"), program=Program(...))
built.fit.ok, built.image
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile

from codegen.target import Optimize
from simharness import cache, elf, firmware
from simharness.errors import UsageError
from simharness.firmware import ARENA, Placement, Port, Program
from simharness.image import Image, Memory, Toolchain
from simharness.toolchain import compilers, layout
from simharness.toolchain.compilers import Compiler, ToolchainName, find
from simharness.toolchain.layout import ROOMY, Demand, Fit, MemoryUse
from simharness.toolchain.placement import NOTHING_ASKED, Asked

__all__ = [
    "ROOMY", "Built", "Compiler", "Fit", "MemoryUse", "Placement", "Port", "Program",
    "ToolchainName", "build", "find", "room",
]  # fmt: skip

STACK_BYTES = 4096
"""Set aside for the stack; what a run used of it is measured and reported."""

_WRITE, _ALLOC, _EXECUTE = 0x1, 0x2, 0x4
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A linked program and whether it fits. Where it does not, `image` is for enlarged memories
    (`image.enlarged`): emulating it is the caller's decision."""

    image: Image
    fit: Fit
    placement: Placement


def build(
    sources: Mapping[str, str],
    core: str,
    chip: layout.ChipLike | Iterable[Memory] = ROOMY,
    *,
    program: Program | None = None,
    place: Asked = NOTHING_ASKED,
    arenas: Sequence[str] = (ARENA,),
    toolchain: str = "auto",
    optimize: Optimize = "balanced",
    layers: Sequence[str] = (),
    stack_bytes: int = STACK_BYTES,
    defines: Sequence[str] = (),
    keep_all: bool = False,
    semihosting: bool = False,
    measuring: bool = False,
    showing: bool = False,
) -> Built:
    """Compile and link `sources` (file name to text; headers included) with the firmware.

    `place` is where things must go, as far as the caller cares; `arenas` are the tails of the
    arenas' symbols.
    `layers` are layer functions in execution order; `defines` are macros, `NAME` or `NAME=VALUE`;
    `keep_all` keeps functions that nothing calls; with `semihosting` the program serves runs by
    itself, from file to file; with `showing` it runs once and writes its
    outputs as text; with `measuring` it can count its own cycles. The result comes
    from the cache where possible.
    Raises BuildError with the compiler's words, UsageError, ToolMissingError.
    """
    compiler = compilers.find(toolchain)
    memories = layout.memories(chip, place)
    wish, fallback = layout.wish(chip, place, len(arenas)), layout.fallbacks(chip)
    bad = [name for name in sources if not _SAFE_NAME.fullmatch(name)]
    if bad:
        raise UsageError(f"a source's name must be a plain relative path: {bad[0]!r}")
    flags = (*compilers.compile_flags(compiler, core, optimize), *(f"-D{d}" for d in defines))
    link = (*compilers.link_flags(compiler, keep_all=keep_all), *compilers.libraries(compiler))
    own = firmware.sources(program, semihosting=semihosting, measuring=measuring, showing=showing)
    name = cache.key(
        "image 4", compiler.version, *flags, "--", *compilers.FIRMWARE_FLAGS[compiler.name], *link,
        repr((memories, wish, fallback, stack_bytes, tuple(arenas))), firmware.template(), "--",
        *(part for item in sorted({**own, **sources}.items()) for part in item),
    )  # fmt: skip
    data = cache.get("images", name)
    if data is None:
        with tempfile.TemporaryDirectory(prefix="simharness-") as temporary:
            folder = Path(temporary)
            objects = _compile(compiler, {**own, **sources}, frozenset(sources), flags, folder)
            demand = _demand(folder, objects, stack_bytes, arenas)
            placement = layout.place(memories, wish, fallback, demand)
            layout.check_room(memories, placement, wish, demand)
            script = firmware.link_script(
                layout.roomy(memories, placement), layout.spelled(placement), stack_bytes, arenas
            )
            linked = _link(compiler, objects, link, flags, script, folder)
        cache.put("images", name, json.dumps(asdict(placement)).encode() + b"\0" + linked)
    else:
        head, linked = data.split(b"\0", 1)
        fields = json.loads(head)
        placement = Placement(**fields | {"arena": tuple(fields["arena"])})
    parsed = elf.parse(linked)
    fit = layout.measure(parsed, memories, placement)
    image = elf.image(
        linked, core, layout.grown(memories, fit),
        toolchain=Toolchain(compiler.name, compiler.version, (*flags, *link)),
        layers=tuple(layers), enlarged=not fit.ok, parsed=parsed,
    )  # fmt: skip
    return Built(image, fit, placement)


def _compile(
    compiler: Compiler,
    files: Mapping[str, str],
    given: frozenset[str],
    flags: Sequence[str],
    folder: Path,
) -> list[str]:
    """Write the files, compile each unit; the objects' names."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    units = sorted(n for n in files if n.endswith(".c"))

    def compile_unit(number: int) -> str:
        extra = () if units[number] in given else compilers.FIRMWARE_FLAGS[compiler.name]
        output = f"{number}_{Path(units[number]).stem}.o"  # the linker script knows a name
        command = (*compiler.command, *flags, *extra, "-I.", "-c", units[number], "-o", output)
        compilers.run(command, folder)
        return output

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(compile_unit, range(len(units))))


def _demand(
    folder: Path, objects: Iterable[str], stack_bytes: int, arenas: Sequence[str]
) -> Demand:
    """What the objects' sections add up to."""
    sizes = dict.fromkeys(("code", "weights", "data", *arenas), 0)
    for name in objects:
        with (folder / name).open("rb") as file:
            for section in ELFFile(file).iter_sections():
                if kind := _kind(section.name, section["sh_flags"], arenas):
                    sizes[kind] += section["sh_size"]
    of_arenas = tuple(sizes[arena] for arena in arenas)
    return Demand(sizes["code"], sizes["weights"], sizes["data"], of_arenas, stack_bytes)


def _kind(name: str, flags: int, arenas: Sequence[str]) -> str:
    """What an object's section holds, "" for nothing that is loaded."""
    if not flags & _ALLOC:
        return ""
    if flags & _WRITE:
        of = (a for a in arenas if re.fullmatch(rf"\.{a}(\..*)?|\.bss\..*_{a}", name))
        return next(of, "data")
    return "code" if flags & _EXECUTE else "weights"


def _link(
    compiler: Compiler,
    objects: Sequence[str],
    link: Sequence[str],
    flags: Sequence[str],
    script: str,
    folder: Path,
) -> bytes:
    (folder / "link.ld").write_text(script, encoding="utf-8")
    machine = compilers.link_machine(compiler, flags)
    compilers.run((*compiler.command, *machine, *objects, *link, "-o", "out.elf"), folder)
    return (folder / "out.elf").read_bytes()


def room(image: Image, chip: layout.ChipLike, place: Asked = NOTHING_ASKED) -> Mapping[str, int]:
    """Bytes that the program of `image` leaves for arenas in each RAM of `chip`.

    RAM that needs no waiting comes first; external memory only where `place` names it.
    """
    sizes = image.sections
    demand = Demand(
        code=sum(sizes.get(name, 0) for name in (".text", ".ARM.extab", ".ARM.exidx")),
        weights=sizes.get(".rodata", 0),
        data=sizes.get(".data", 0) + sizes.get(".bss", 0),
        arena=(),
        stack=sizes[".stack"] - 2 * firmware.GUARD_BYTES,
    )
    memories, fallback = layout.memories(chip), layout.fallbacks(chip)
    rest = layout.wish(chip, replace(place, arena=()), 0)
    free = layout.free_bytes(memories, layout.place(memories, rest, fallback, demand), demand)
    kinds = {m.name: m.kind for m in chip.memories}
    names = place.arena or sorted(fallback, key=lambda name: kinds[name] != "tcm")
    return {name: free[name] for name in names}
