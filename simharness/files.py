# SPDX-License-Identifier: MIT
"""Writing what the user asked for: whoever looks sees it whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from simharness.errors import UsageError


def write_file(path: Path, text: str) -> None:
    """Write one file, replacing an older one. Raises UsageError."""
    try:
        _replace(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def write_directory(directory: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write `files` (name to text) into `directory`; their paths, sorted.

    A new directory appears with all of its files or not at all; in an existing one each file is
    replaced as a whole, and others are left alone. Raises UsageError.
    """
    try:
        if directory.is_dir():
            for name, text in sorted(files.items()):
                _replace(directory / name, text)
        else:
            _make(directory, files)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror}") from error
    return tuple(sorted(directory / name for name in files))


def _make(directory: Path, files: Mapping[str, str]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        for name, text in files.items():
            _replace(stage / name, text)
        stage.chmod(0o777 & ~_umask())
        stage.rename(directory)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
