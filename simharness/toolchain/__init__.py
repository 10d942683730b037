# SPDX-License-Identifier: MIT
"""C sources in, a linked program out: `build` is the one door.

built = build({"model.c": text, ...}, "m4", memories, program=Program(...))
built.fit.ok, built.image
"""

from __future__ import annotations

import fnmatch
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile

from codegen.target import Optimize
from simharness import cache, elf, firmware
from simharness.errors import UsageError
from simharness.firmware import Placement, Port, Program
from simharness.image import Image, Memory, Toolchain
from simharness.toolchain import compilers, layout
from simharness.toolchain.compilers import Compiler, ToolchainName, find
from simharness.toolchain.layout import ROOMY, Fit, MemoryUse

__all__ = [
    "ROOMY", "Built", "Compiler", "Fit", "MemoryUse", "Port", "Program", "ToolchainName",
    "build", "find",
]  # fmt: skip

STACK_BYTES = 4096
"""Set aside for the stack; what a run used of it is measured and reported."""

_ARENA_SECTIONS = (".arena", ".arena.*", ".bss.*_arena")
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
    memories: Iterable[layout.ChipMemory | Memory] = ROOMY,
    *,
    program: Program | None = None,
    toolchain: str = "auto",
    optimize: Optimize = "balanced",
    layers: Sequence[str] = (),
    stack_bytes: int = STACK_BYTES,
    defines: Sequence[str] = (),
    keep_all: bool = False,
) -> Built:
    """Compile and link `sources` (file name to text; headers included) with the firmware.

    `layers` are layer functions in execution order; `defines` are macros, `NAME` or `NAME=VALUE`;
    `keep_all` keeps functions that nothing calls. The result comes from the cache where possible.
    Raises BuildError with the compiler's words, UsageError, ToolMissingError.
    """
    compiler = compilers.find(toolchain)
    chip = layout.memories(memories)
    bad = [name for name in sources if not _SAFE_NAME.fullmatch(name)]
    if bad:
        raise UsageError(f"a source's name must be a plain relative path: {bad[0]!r}")
    flags = (*compilers.compile_flags(compiler, core, optimize), *(f"-D{d}" for d in defines))
    link = (*compilers.link_flags(compiler, keep_all=keep_all), *compilers.libraries(compiler))
    files = {**firmware.sources(program), **sources}
    name = cache.key(
        "image 1", compiler.version, *flags, "--", *link, repr(chip), str(stack_bytes), "--",
        *(part for item in sorted(files.items()) for part in item),
    )  # fmt: skip
    data = cache.get("images", name)
    if data is None:
        placement, linked = _compile(compiler, files, set(sources), flags, link, chip, stack_bytes)
        names = (placement.flash, placement.ram, placement.arena_ram)
        cache.put("images", name, "\n".join(names).encode() + b"\0" + linked)
    else:
        head, linked = data.split(b"\0", 1)
        flash, ram, arena_ram = head.decode().split("\n")
        placement = Placement(flash, ram, arena_ram, stack_bytes)
    parsed = elf.parse(linked)
    fit = layout.measure(parsed, chip, placement)
    image = elf.image(
        linked, core, layout.grown(chip, fit),
        toolchain=Toolchain(compiler.name, compiler.version, (*flags, *link)),
        layers=tuple(layers), enlarged=not fit.ok,
    )  # fmt: skip
    return Built(image, fit, placement)


def _compile(
    compiler: Compiler,
    files: Mapping[str, str],
    own: set[str],
    flags: Sequence[str],
    link: Sequence[str],
    chip: Sequence[Memory],
    stack_bytes: int,
) -> tuple[Placement, bytes]:
    """Objects first, for their sizes decide the placement; then the link."""
    with tempfile.TemporaryDirectory(prefix="simharness-") as place:
        folder = Path(place)
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        objects = []
        for number, name in enumerate(sorted(n for n in files if n.endswith(".c"))):
            output = f"{number}.o"
            extra = () if name in own else compilers.FIRMWARE_FLAGS[compiler.name]
            compilers.run(
                (*compiler.command, *flags, *extra, "-I.", "-c", name, "-o", output), folder
            )
            objects.append(output)
        arena, rest = _written_bytes(folder / o for o in objects)
        placement = layout.place(chip, arena, rest, stack_bytes)
        script = firmware.link_script(
            layout.roomy(chip, placement),
            replace(
                placement,
                flash=layout.identifier(placement.flash),
                ram=layout.identifier(placement.ram),
                arena_ram=layout.identifier(placement.arena_ram),
            ),
        )
        (folder / "link.ld").write_text(script, encoding="utf-8")
        machine = flags[: flags.index("-std=c99")]
        compilers.run(
            (*compiler.command, *machine, *_link_extra(compiler), *objects, *link, "-o", "out.elf"),
            folder,
        )
        return placement, (folder / "out.elf").read_bytes()


def _link_extra(compiler: Compiler) -> tuple[str, ...]:
    return ("-g",) if compiler.name == "zig" else ()


def _written_bytes(objects: Iterable[Path]) -> tuple[int, int]:
    """Bytes of arena and of everything else that a program writes, before linking."""
    arena = rest = 0
    for path in objects:
        with path.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                if not section["sh_flags"] & 0x1 or not section["sh_flags"] & 0x2:
                    continue
                size = section["sh_size"] + section["sh_addralign"]
                if any(fnmatch.fnmatchcase(section.name, p) for p in _ARENA_SECTIONS):
                    arena += size
                else:
                    rest += size
    return arena, rest
