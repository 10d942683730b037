# SPDX-License-Identifier: MIT
"""The native counter is built once, by whatever compiler there is, and its absence is told."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cycle_models import memory
from simharness import native
from simharness.engines.unicorn import UnicornEngine
from simharness.errors import ToolMissingError
from simharness.toolchain import compilers

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow")
SOURCE = Path(native.__file__).with_name("count.c")
SOURCES = (SOURCE, memory.SOURCE)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path))
    native.load.cache_clear()
    native._load.cache_clear()
    yield tmp_path
    native.load.cache_clear()
    native._load.cache_clear()


@pytest.mark.needs("cc")
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_the_source_is_clean(source: Path, tmp_path: Path) -> None:
    subprocess.run(("cc", *STRICT, "-c", str(source), "-o", str(tmp_path / "x.o")), check=True)


@pytest.mark.needs("cc")
def test_it_is_built_into_the_cache_once(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert native.load() is not None
    (library,) = (empty_cache / "native").iterdir()
    before = library.stat().st_mtime_ns
    native._load.cache_clear()
    native.load.cache_clear()
    monkeypatch.setattr(native, "_host_compilers", lambda: pytest.fail("built again"))

    assert native.load() is not None
    assert library.stat().st_mtime_ns == before


def test_ziglang_can_build_it(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zig = compilers.zig_command()
    assert zig is not None
    monkeypatch.setattr(native, "_host_compilers", lambda: (zig,))

    assert native.load() is not None
    assert native.reason() == ""


@pytest.mark.needs("cc")
def test_a_damaged_library_is_built_again(empty_cache: Path) -> None:
    path = native.build("count.c")
    path.write_bytes(b"damaged")

    assert native.load() is not None
    assert path.stat().st_size > 100


def test_without_a_compiler_the_engine_says_so(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_host_compilers", lambda: ())

    with pytest.raises(ToolMissingError, match="pip install ziglang"):
        native.build("count.c")
    assert native.load() is None
    assert "neither cc nor ziglang" in native.reason()
    assert "counted in Python" in UnicornEngine().describe().version


def test_a_compiler_that_fails_is_passed_over(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_host_compilers", lambda: (("false",), ("no-such-compiler",)))

    assert native.load() is None
    assert "false" in native.reason()
    assert "no-such-compiler" in native.reason()


@pytest.mark.needs("cc")
def test_parallel_first_uses_agree(empty_cache: Path) -> None:
    script = "from simharness import native; assert native.load() is not None"
    running = [subprocess.Popen((sys.executable, "-c", script)) for _ in range(3)]

    assert [p.wait() for p in running] == [0, 0, 0]
    assert len(list((empty_cache / "native").iterdir())) == 1


@pytest.mark.needs("cc")
def test_a_library_is_built_anew_when_an_included_file_changed(
    empty_cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "outer.c").write_text('#include "inner.h"\nint value(void) { return VALUE; }\n')
    built = []
    for value in (1, 2):
        (folder / "inner.h").write_text(f"#define VALUE {value}\n")
        built.append(ctypes.CDLL(str(native.build(str(folder / "outer.c")))).value())
    assert built == [1, 2]
