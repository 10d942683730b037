# SPDX-License-Identifier: MIT
"""The cache gives back what was put, or nothing: never something half-written or damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simharness import cache


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(tmp_path))
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_what_was_put_comes_back() -> None:
    cache.put("images", "a", b"bytes")

    assert cache.get("images", "a") == b"bytes"
    assert cache.get("images", "b") is None
    assert cache.get("other", "a") is None


def test_a_key_depends_on_how_its_parts_are_cut() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key("ab", "c") == cache.key(b"ab", b"c")


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + b"?", lambda _: b""])
def test_a_damaged_entry_is_no_entry(own_folder: Path, damage) -> None:  # type: ignore[no-untyped-def]
    cache.put("images", "a", b"bytes")
    (path,) = files(own_folder)
    path.write_bytes(damage(path.read_bytes()))

    assert cache.get("images", "a") is None


def test_a_writer_killed_half_way_leaves_no_entry(own_folder: Path) -> None:
    script = (
        "import os, signal, simharness.cache as c, pathlib\n"
        "pathlib.Path.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "c.put('images', 'a', b'bytes')\n"
    )
    done = subprocess.run((sys.executable, "-c", script), check=False)

    assert done.returncode == -9
    assert len(files(own_folder)) == 1  # the temporary file
    assert cache.get("images", "a") is None
    os.utime(files(own_folder)[0], (0, 0))
    cache.trim()
    assert files(own_folder) == []


def test_parallel_writers_and_readers_agree(own_folder: Path) -> None:
    script = (
        "import simharness.cache as c\n"
        "for i in range(200):\n"
        "    c.put('images', 'a', bytes([i]) * 50000)\n"
        "    got = c.get('images', 'a')\n"
        "    assert got is not None and len(got) == 50000 and len(set(got)) == 1\n"
    )
    running = [subprocess.Popen((sys.executable, "-c", script)) for _ in range(3)]

    assert [p.wait() for p in running] == [0, 0, 0]


def test_writers_killed_at_any_moment_leave_nothing_half_written(own_folder: Path) -> None:
    """Readers and other writers go on as if nothing had happened."""
    write = (
        "import itertools, simharness.cache as c\n"
        "print(flush=True)\n"
        "for i in itertools.count():\n"
        "    c.put('images', str(i % 3), bytes([i % 251]) * 300000)\n"
    )
    read = (
        "import simharness.cache as c\n"
        "seen = 0\n"
        "while seen < 3000:\n"
        "    got = c.get('images', str(seen % 3))\n"
        "    assert got is None or (len(got) == 300000 and len(set(got)) == 1)\n"
        "    seen += 1\n"
    )
    reader = subprocess.Popen((sys.executable, "-c", read))
    for moment in range(6):
        command = (sys.executable, "-c", write)
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.read(1)
            time.sleep(0.013 * moment)
            writer.kill()
            writer.communicate()

    assert reader.wait() == 0
    for path in files(own_folder):
        os.utime(path, (1, 1))
    cache.trim()
    assert all(not p.name.startswith(".tmp-") for p in files(own_folder))


def test_the_least_recently_used_go_first(own_folder: Path) -> None:
    for age, name in enumerate("abc"):
        cache.put("images", name, bytes(1000))
        os.utime(own_folder / "entries" / "images" / name, (age + 1, age + 1))
    cache.get("images", "a")

    cache.trim(limit_bytes=2 * 1032)

    assert cache.get("images", "b") is None
    assert cache.get("images", "a") is not None
    assert cache.get("images", "c") is not None


def test_clear_removes_everything(own_folder: Path) -> None:
    cache.put("images", "a", b"bytes")

    cache.clear()

    assert cache.get("images", "a") is None
    assert not own_folder.exists()


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("SIMHARNESS_CACHE_DIR", str(blocked))

    cache.put("images", "a", b"bytes")

    assert cache.get("images", "a") is None
