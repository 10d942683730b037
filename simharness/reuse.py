# SPDX-License-Identifier: MIT
"""Reports of earlier runs, found again as long as nothing that they rest on has changed.

The key covers the bytes of everything that goes in: model, samples, board file, our own sources
(kernels, machine files and templates included), compiler, libraries, host. Code that was replaced
in memory, by a test for instance, has no key (`simharness.pristine`). Only good reports are kept:
what failed once is looked at again.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from functools import cache as once
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from simharness import cache, pristine, zoo
from simharness.errors import SimharnessError
from simharness.files import data_files, sha256, shown_path

if TYPE_CHECKING:
    from simharness.options import RunOptions
    from simharness.report.model import Report

_KIND = "reports"
_LIBRARIES = (
    "numpy", "onnx", "onnxruntime", "unicorn", "capstone", "pyelftools", "msgspec", "jinja2",
)  # fmt: skip
_ENGINE = "unicorn"


def key(model: str | Path, options: RunOptions) -> str:
    """A name for all that this run rests on; "" where that cannot be known from here.

    That is so for engines that are programs of their own, where our code was replaced in memory,
    and where our files have changed since this process started.
    """
    state = pristine.state()
    if state == "changed" or options.engine != _ENGINE:
        return ""
    try:
        return "" if _touched() else _key(model, options, state)
    except (OSError, SimharnessError):
        return ""


def _key(model: str | Path, options: RunOptions, state: str) -> str:
    from simharness.toolchain import compilers

    path = zoo.resolve(model)
    content = path.read_bytes()
    beside = [path.parent / name for name in data_files(content)]
    files = [*beside, options.inputs, _board_file(options.board)]
    compiler = compilers.find(options.toolchain)
    program = Path(compiler.command[0]).stat()
    return cache.key(
        "report 2", state, content, str(model), shown_path(path), repr(options),
        *(sha256(Path(p)) for p in files if p),
        repr((compiler, program.st_size, program.st_mtime_ns)), _sources(), _host(), *_settings(),
    )  # fmt: skip


def find(name: str) -> Report | None:
    """The report kept under this key, or None."""
    data = cache.get(_KIND, name)
    if data is None:
        return None
    from simharness.report.serial import from_json

    with contextlib.suppress(SimharnessError):
        return from_json(data)
    return None


def keep(name: str, report: Report) -> None:
    """Keep a report for later."""
    from simharness.report.serial import to_json

    cache.put(_KIND, name, to_json(report).encode())


def _board_file(board: str | Path | None) -> Path | None:
    text = str(board or "")
    return Path(text) if text.endswith(".toml") or "/" in text else None


def _files() -> Iterator[tuple[Path, Path]]:
    """Every file of our packages but caches and networks, with its package's folder."""
    for package in pristine.PACKAGES:
        spec = util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for place, folders, names in os.walk(folder):
                folders[:] = [f for f in folders if f != "__pycache__"]
                yield from (
                    (Path(folder), Path(place, name))
                    for name in names
                    if not name.endswith((".pyc", ".onnx"))
                )


def _touched() -> bool:
    """Whether a file is younger than this process, so that what is loaded may be older."""
    stats = (path.stat() for _, path in _files())
    return any(max(s.st_mtime_ns, s.st_ctime_ns) > pristine.STARTED_NS for s in stats)


@once
def _sources() -> str:
    """The hash of every file in our packages; 3 MB are read once per process."""
    parts: list[str | bytes] = []
    for root, path in sorted(_files()):
        parts += [path.relative_to(root).as_posix(), path.read_bytes()]
    return cache.key(*parts)


@once
def _host() -> str:
    """Libraries, Python, and the processor, by which ONNX Runtime chooses its kernels."""
    flags = ""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    return cache.key(
        *(f"{name} {_version(name)}" for name in _LIBRARIES),
        platform.platform(), platform.python_version(), flags,
    )  # fmt: skip


def _settings() -> list[str]:
    return sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(("SIMHARNESS_", "ORT_")) and name != "SIMHARNESS_CACHE_DIR"
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
