# SPDX-License-Identifier: MIT
"""The user's cache of things that are slow to make: compiled images, the native callback.

Entries are named by the hash of everything that went into them, written under a temporary name and
renamed, and carry the hash of their bytes: parallel runs and a killed process leave nothing
half-written that a reader would believe. Losing the cache costs time, never a result.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

LIMIT_BYTES = 512 * 1024 * 1024
"""Of our entries; the zero-install compiler keeps some 70 MB more in the same folder."""

_DIGEST_BYTES = 32
_ORPHAN_SECONDS = 3600.0
_TRIM_EVERY_PUTS = 64
_TEMPORARY = ".tmp-"

_puts = 0


def folder() -> Path:
    """Where the cache lives: `SIMHARNESS_CACHE_DIR`, else the platform's place for caches."""
    given = os.environ.get("SIMHARNESS_CACHE_DIR")
    return Path(given) if given else Path(platformdirs.user_cache_dir("simharness", False))


def key(*parts: str | bytes) -> str:
    """A name for what is made from `parts`: hexadecimal SHA-256, each part framed by its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def get(kind: str, name: str) -> bytes | None:
    """The bytes put under `kind` and `name`, or None when absent or damaged."""
    path = _path(kind, name)
    try:
        stored = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, data = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        path.unlink(missing_ok=True)
        return None
    return data


def put(kind: str, name: str, data: bytes) -> None:
    """Keep `data`; a cache that cannot be written (full or read-only disk) is simply not used."""
    global _puts
    with contextlib.suppress(OSError):
        write_atomic(_path(kind, name), hashlib.sha256(data).digest() + data)
        _puts += 1
        if _puts % _TRIM_EVERY_PUTS == 1:
            trim()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that other processes see either whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def trim(limit_bytes: int = LIMIT_BYTES) -> None:
    """Drop the least recently used entries beyond the limit, and what killed processes left."""
    entries: list[tuple[float, int, Path]] = []
    for path in _entries():
        try:
            status = path.stat()
            if path.name.startswith(_TEMPORARY):
                if time.time() - status.st_mtime > _ORPHAN_SECONDS:
                    path.unlink()
                continue
        except OSError:
            continue  # another process was faster
        entries.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit_bytes:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def clear() -> None:
    """Remove everything, the compiler's own cache included."""
    shutil.rmtree(folder(), ignore_errors=True)


def _path(kind: str, name: str) -> Path:
    return folder() / "entries" / kind / name


def _entries() -> Iterator[Path]:
    """What may be dropped: entries, and temporary files wherever they were left."""
    yield from (p for p in (folder() / "entries").glob("*/*") if p.is_file())
    yield from (folder() / "native").glob(f"{_TEMPORARY}*")
