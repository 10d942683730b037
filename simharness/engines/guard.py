# SPDX-License-Identifier: MIT
"""Holds a server process that must not outlive us: `python -m simharness.engines.guard COMMAND...`.

It starts COMMAND in a process group of its own, and ends the whole group when its stdin closes,
which happens however our process ends, or when COMMAND ends by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE_S = 3.0


def start(
    command: Sequence[str], output: Path, *, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """The guard of `command`, whose stdout and stderr go to the file `output`."""
    with output.open("wb") as file:
        return subprocess.Popen(
            (sys.executable, "-m", "simharness.engines.guard", *command),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=env,
        )


def stop(guard: subprocess.Popen[bytes]) -> None:
    """End what `guard` holds, and the guard; harmless when both have ended already."""
    if guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
    try:
        guard.wait(timeout=2 * _PATIENCE_S)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()


def _main(command: Sequence[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        _end(child)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our owner's to handle
    signal.signal(signal.SIGTERM, lambda *_: _end(child))
    threading.Thread(target=wait_for_the_end, daemon=True).start()
    return child.wait()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the group to go, then make it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
