# SPDX-License-Identifier: MIT
"""Reports of earlier runs, found again as long as nothing that they rest on has changed.

The key covers the bytes of everything that goes in: model, samples, board file, our own sources
(kernels, machine files and templates included), compiler version, libraries. Only good reports are
kept: what failed once is looked at again.
"""

from __future__ import annotations

import contextlib
import platform
from functools import cache as once
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from simharness import cache, zoo
from simharness.errors import SimharnessError
from simharness.files import sha256, shown_path

if TYPE_CHECKING:
    from simharness.options import RunOptions
    from simharness.report.model import Report

_KIND = "reports"
_PACKAGES = ("simharness", "codegen", "cycle_models", "runtime_c")
_LIBRARIES = (
    "numpy", "onnx", "onnxruntime", "unicorn", "capstone", "pyelftools", "msgspec", "jinja2",
)  # fmt: skip
_ENGINE = "unicorn"


def key(model: str | Path, options: RunOptions) -> str:
    """A name for all that this run rests on; "" where that cannot be known from here.

    That is so for engines that are programs of their own, and for models with weights in other
    files (whose entries are spelled "location" in the model).
    """
    if options.engine != _ENGINE:
        return ""
    try:
        path = zoo.resolve(model)
        content = path.read_bytes()
        if b"location" in content:
            return ""
        files = [sha256(Path(p)) for p in (options.inputs, _board_file(options.board)) if p]
        from simharness.toolchain import compilers

        compiler = compilers.find(options.toolchain).version
    except (OSError, SimharnessError):
        return ""
    return cache.key(
        "report 1", content, str(model), shown_path(path), repr(options), *files, compiler,
        _sources(), *(f"{name} {_version(name)}" for name in _LIBRARIES),
        platform.machine(), platform.python_version(),
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


@once
def _sources() -> str:
    """The hash of every file in our packages; 3 MB are read once per process."""
    parts: list[str | bytes] = []
    for package in _PACKAGES:
        spec = util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            root = Path(folder)
            for path in sorted(p for p in root.rglob("*") if p.is_file()):
                if path.suffix not in (".pyc", ".onnx"):
                    parts += [path.relative_to(root).as_posix(), path.read_bytes()]
    return cache.key(*parts)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
