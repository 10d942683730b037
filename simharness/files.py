# SPDX-License-Identifier: MIT
"""The user's files: writing them whole or not at all, hashing them, and naming them in reports."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from simharness.errors import UsageError


def write_file(path: Path, text: str) -> None:
    """Write one file, replacing an older one. Raises UsageError."""
    try:
        _replace(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def write_directory(directory: Path, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Write `files` (name to text or bytes) into `directory`; their paths, sorted.

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


def _make(directory: Path, files: Mapping[str, str | bytes]) -> None:
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


def _replace(path: Path, content: str | bytes) -> None:
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.exists() and not path.is_file():  # /dev/null, a pipe: written to, never replaced
        with path.open("wb") as device:
            device.write(data)
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """The hash of a file's bytes. Raises UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except IsADirectoryError:
        raise UsageError(f"{path}: this is a directory, not a file") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def data_files(model: bytes) -> tuple[str, ...]:
    """The files beside a model that hold its weights; nothing outside its folder, nothing of a
    file that is no model (whoever loads it says what is wrong with it).
    """
    if b"location" not in model:
        return ()
    from codegen.load.read import external_locations

    found = (PurePosixPath(name) for name in external_locations(model))
    return tuple(str(p) for p in found if p.parts and not p.is_absolute() and ".." not in p.parts)


def shown_path(path: Path) -> str:
    """A path as reports show it: relative to here if it lies below, else the file's name."""
    if not path.is_absolute():
        return path.as_posix()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name
