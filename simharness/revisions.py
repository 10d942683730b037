# SPDX-License-Identifier: MIT
"""Files as git has them: REVISION:PATH, the path counted from here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from simharness.errors import UsageError
from simharness.files import data_files


def content(revision: str, path: str) -> bytes:
    """The bytes of a file at a revision, as a checkout here would have them (Git LFS included).

    Raises UsageError when there is no such revision or file.
    """
    done = _git("cat-file", "--filters", f"{resolve(revision)}:./{_from_here(path)}")
    if done.returncode != 0:
        raise UsageError(f"{revision}:{path}: git has no such file: {_said(done)}")
    return done.stdout


def resolve(revision: str) -> str:
    """The commit that a revision names. Raises UsageError."""
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    if _git("rev-parse", "--git-dir").returncode != 0:
        raise UsageError(f"{revision}: this folder is in no git repository")
    raise UsageError(
        f"{revision}: git knows no such revision; git fetch may bring it "
        "(in a workflow: actions/checkout with fetch-depth: 0)"
    )


def checkout(revision: str, path: str, folder: Path) -> Path:
    """Write a model, and what it keeps in other files, below `folder`; the model's new path.

    Raises UsageError.
    """
    data = content(revision, path)
    target = folder / Path(path).name
    target.write_bytes(data)
    for location in data_files(data):
        place = folder / location
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content(revision, str(Path(path).parent / location)))
    return target


def _from_here(path: str) -> str:
    return Path(os.path.relpath(path)).as_posix()


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(("git", *arguments), capture_output=True, check=False)
    except OSError as error:
        raise UsageError(f"git cannot be started: {error.strerror}") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else "no reason given"
