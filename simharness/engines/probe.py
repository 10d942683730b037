# SPDX-License-Identifier: MIT
"""GDB servers that we start ourselves, while they are used: `--target pyocd` or `pyocd:PROBE`.

pyOCD finds the probe and, where that is a board of its own, the chip; a pyocd.yaml in the working
directory may tell more (`target_override: stm32f446retx`). Its server listens on this machine only,
on a free port.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from simharness.engines.base import Missing
from simharness.errors import ToolMissingError

PYOCD = "pyocd"
INSTALL = f"{Path(sys.executable).name} -m pip install 'simharness[board]'"
START_SECONDS = 30.0
_LISTENS = re.compile(rb"GDB server \w+ on port (\d+)")
_POLL_SECONDS = 0.05


def missing(target: str) -> Missing | None:
    """What the server for `target` lacks here; None for one that runs already."""
    if _probe(target) is None or _program():
        return None
    return Missing("pyocd is not installed", INSTALL)


@contextlib.contextmanager
def server(target: str) -> Iterator[str]:
    """HOST:PORT of the server: `target` itself, or that of a pyOCD, which ends with the block.

    Raises ToolMissingError when pyOCD is not installed, finds no probe, or does not get ready.
    """
    probe = _probe(target)
    if probe is None:
        yield target
        return
    program = _program()
    if program is None:
        raise ToolMissingError(f"pyocd is not installed; {INSTALL}")
    command = [program, "gdbserver", "--no-wait", "--port", "0", "--telnet-port", "0"]
    command += ["--uid", probe] if probe else []
    with tempfile.TemporaryDirectory(prefix="simharness-pyocd-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield f"127.0.0.1:{_port(process, log)}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the server says it listens on."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        ended = process.poll() is not None
        text = log.read_bytes()
        if found := _LISTENS.search(text):
            return int(found[1])
        if ended:
            lines = text.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ToolMissingError(
                f"pyocd ended with status {process.returncode}: {lines[-1].strip()}; "
                "connect a probe ('pyocd list' shows those that it sees) and a powered board"
            )
        time.sleep(_POLL_SECONDS)
    raise ToolMissingError(f"pyocd did not listen within {START_SECONDS:.0f} s; see 'pyocd list'")


def _probe(target: str) -> str | None:
    """The probe that `target` names, "" for any; None for a HOST:PORT."""
    name, _, probe = target.partition(":")
    return probe if name == PYOCD else None


def _program() -> str | None:
    """pyocd on PATH, or beside this Python where a virtual environment is not active."""
    return shutil.which(PYOCD) or shutil.which(PYOCD, path=str(Path(sys.executable).parent))
