# SPDX-License-Identifier: MIT
"""Every kernel header stands alone and compiles without a warning, whatever the compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kernel_host import WARNINGS

import runtime_c
from codegen.kernels import VARIANTS
from simharness.toolchain import compilers

HEADERS = sorted(path.name for path in runtime_c.kernel_dir().glob("*.h"))
LINKAGES = ("NN_DEFAULT", "NN_EXTERN", "NN_SHARED")
CORES = ("m0plus", "m3", "m4", "m7", "m33")


def compile_headers(command: tuple[str, ...], folder: Path, *, alone: bool = True) -> None:
    """Each header in a translation unit of its own, or all in one; once per linkage."""
    sources = []
    for linkage in LINKAGES:
        for group in [[header] for header in HEADERS] if alone else [HEADERS]:
            path = folder / f"{len(sources)}.c"
            includes = "".join(f'#include "{header}"\n' for header in group)
            path.write_text(f"#define {linkage}\n{includes}")
            sources.append(path.name)
    options = (*WARNINGS, "-ffreestanding", "-ffp-contract=off", f"-I{runtime_c.kernel_dir()}")
    done = subprocess.run(
        (*command, *options, "-fsyntax-only" if alone else "-c", *sources),
        cwd=folder, env=compilers.environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr


@pytest.mark.needs("cc")
def test_gcc(tmp_path: Path) -> None:
    compile_headers(("gcc", "-O2"), tmp_path)


@pytest.mark.needs("clang")
def test_clang(tmp_path: Path) -> None:
    compile_headers(("clang", "-O2"), tmp_path)


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("core", CORES)
def test_arm_gcc(core: str, tmp_path: Path) -> None:
    compiler = compilers.find("gcc")
    flags = compilers.compile_flags(compiler, core, "balanced")
    compile_headers((*compiler.command, *flags), tmp_path)


@pytest.mark.parametrize("core", ["m0plus", "m4"])
def test_zig(core: str, tmp_path: Path) -> None:
    compiler = compilers.find("zig")
    flags = compilers.compile_flags(compiler, core, "balanced")
    compile_headers((*compiler.command, *flags), tmp_path, alone=False)


def test_a_warning_is_an_error(tmp_path: Path) -> None:
    """The compiler is asked for conversions and shadowing, or it would not find these."""
    path = tmp_path / "bad.c"
    path.write_text("signed char f(int x);\nsigned char f(int x) { return x; }\n")
    command = (*compilers.find("zig").command, *WARNINGS, "-fsyntax-only", str(path))
    done = subprocess.run(command, env=compilers.environment(), capture_output=True, text=True)
    assert done.returncode != 0


def test_every_variant_has_a_header_of_its_name() -> None:
    for variant in VARIANTS:
        text = runtime_c.read_header(f"{variant.name}.h")
        assert f"NN_KERNEL void {variant.name}(" in text


@pytest.mark.parametrize("header", HEADERS)
def test_licence_guard_and_no_libc(header: str) -> None:
    text = runtime_c.read_header(header)
    assert text.startswith("/* SPDX-License-Identifier: MIT")
    assert f"#ifndef {header.upper().replace('.', '_')}" in text
    allowed = {"<float.h>", "<stddef.h>", "<stdint.h>", "<arm_acle.h>"}
    included = {line.split()[1] for line in text.splitlines() if line.startswith("#include <")}
    assert included <= allowed


def test_includes_are_followed() -> None:
    assert runtime_c.with_includes(("nn_conv2d_s8.h",)) == (
        "nn_common.h",
        "nn_conv2d_s8.h",
        "nn_requant.h",
    )


@pytest.mark.parametrize("name", ["../__init__.py", "nn_nothing.h", "/etc/passwd"])
def test_only_headers_are_read(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        runtime_c.read_header(name)
