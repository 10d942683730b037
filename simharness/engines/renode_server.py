# SPDX-License-Identifier: MIT
"""One headless Renode, driven by XML-RPC (its "robot server"); started on demand, used again.

Renode listens on all interfaces and offers no way to change that; the port is a free one, open
from the first use of the engine until our process ends (or `close`). A `Server` does one thing at
a time.
"""

from __future__ import annotations

import atexit
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
import xmlrpc.client
from pathlib import Path

from simharness.engines import guard
from simharness.errors import FaultError, SimharnessError, ToolMissingError

PROGRAM = "renode"
VARIABLE = "SIMHARNESS_RENODE"
OLDEST = (1, 15)
START_S = 90.0
_FIRST_LINE = 300


def program() -> str | None:
    """Where Renode is: `SIMHARNESS_RENODE`, else on PATH; None when it is not there."""
    return shutil.which(os.environ.get(VARIABLE) or PROGRAM)


class RenodeError(SimharnessError):
    """Renode refused a command; the message has the command and its reason."""


class Server:
    """A running Renode. The constructor returns when it answers."""

    def __init__(self, path: str) -> None:
        """Raises ToolMissingError when it does not start."""
        self.path = path
        self.folder = Path(tempfile.mkdtemp(prefix="simharness-renode-"))
        self.log = self.folder / "renode.log"
        self._transport = _Transport()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        output = self.folder / "output.txt"
        self._guard = guard.start(
            (
                path, "--disable-xwt", "--plain", "--hide-log", "--config",
                str(self.folder / "config"), "--robot-server-port", str(port),
            ),
            output,
        )  # fmt: skip
        atexit.register(self.close)
        self._proxy = xmlrpc.client.ServerProxy(
            f"http://127.0.0.1:{port}", transport=self._transport
        )
        try:
            self._wait(output)
            self.command(f"logFile @{self.log} true")
        except BaseException:
            self.close()
            raise

    def _wait(self, output: Path) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                self._transport.seconds = 10.0
                self._proxy.get_keyword_names()
                return
            except (OSError, http.client.HTTPException, xmlrpc.client.Error):
                if self._guard.poll() is not None:
                    break
                time.sleep(0.05)
        words = output.read_text(errors="replace").strip()[:_FIRST_LINE] or "it said nothing"
        raise ToolMissingError(f"renode: {self.path} did not start: {words}")

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    def command(self, text: str, *, seconds: float = 60.0) -> str:
        """Run a monitor command; what it printed.

        Raises RenodeError when Renode refuses it, FaultError when it does not answer in time or
        dies; the server is closed then.
        """
        self._transport.seconds = seconds
        try:
            answer = self._proxy.run_keyword("ExecuteCommand", [text])
        except TimeoutError as error:
            last = self._last_words()
            self.close()
            raise FaultError(f"renode: {text!r} did not end in {seconds:.0f} s{last}") from error
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ValueError) as error:
            last = self._last_words()
            self.close()
            raise FaultError(f"renode: it ended during {text!r}: {error}{last}") from error
        if not isinstance(answer, dict) or answer.get("status") not in ("PASS", "FAIL"):
            self.close()
            raise FaultError(f"renode: no sensible answer to {text!r}: {str(answer)[:_FIRST_LINE]}")
        if answer["status"] == "FAIL":
            words = str(answer.get("error", "")).strip().splitlines()
            raise RenodeError(f"renode: {text!r}: {words[-1] if words else 'failed'}")
        return str(answer.get("return", "")).strip()

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory, by way of a file.

        Not by the External Control API, which Renode has since 1.16.1 for the system bus: it takes
        writes in pieces of 16 bytes and opens one more port on all interfaces
        (benchmarks/renode_memory.py compares the two).
        """
        path = self.folder / "data.bin"
        path.write_bytes(data)
        self.command(f"sysbus LoadBinary @{path} {address:#x}")

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory, by way of a file."""
        path = self.folder / "data.bin"
        path.unlink(missing_ok=True)
        self.command(
            f"python \"import System; System.IO.File.WriteAllBytes('{path}', "
            f'monitor.Machine.SystemBus.ReadBytes({address:#x}, {size}))"'
        )
        return path.read_bytes()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _last_words(self) -> str:
        """The last complaint in the log, as an addition to a message."""
        lines = [t for t in self.log_text().splitlines() if "[ERROR]" in t or "abort" in t]
        return f"; its last complaint: {lines[-1]}" if lines else ""

    def close(self) -> None:
        """End the process and remove its files; harmless when done already."""
        atexit.unregister(self.close)
        self._transport.close()
        guard.stop(self._guard)
        shutil.rmtree(self.folder, ignore_errors=True)


class _Transport(xmlrpc.client.Transport):
    """A transport whose patience can be changed between calls."""

    seconds = 10.0

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self.seconds
        if connection.sock is not None:
            connection.sock.settimeout(self.seconds)
        return connection


_RUNNING: dict[str, Server] = {}


def server(path: str) -> Server:
    """The running Renode of this process, started where there is none."""
    running = _RUNNING.get(path)
    if running is None or not running.alive:
        running = _RUNNING[path] = Server(path)
    return running


def version(path: str) -> str:
    """The version of a Renode, such as "1.16.1.0"; empty when it cannot be told."""
    try:
        done = subprocess.run(
            (path, "--version"), capture_output=True, text=True, timeout=START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.split()
    return next((w[1:] for w in words if w[:1] == "v" and w[1:2].isdigit()), "")
