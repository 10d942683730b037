# SPDX-License-Identifier: MIT
"""Stands in for pyocd: a GDB server with QEMU behind it, or one of the ways to fail.

Its arguments are those of `pyocd gdbserver`; FAKE_PYOCD says how it behaves, FAKE_PYOCD_PIDS where
to note the processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    how = os.environ["FAKE_PYOCD"]
    note(os.getpid())
    if how == "no probe":
        print("No connected debug probes")
        sys.exit("0000502 E No probe selected. [gdbserver_cmd]")
    if how == "silent":
        time.sleep(600)
    assert sys.argv[1:3] == ["gdbserver", "--no-wait"], sys.argv
    assert ("--uid" in sys.argv) == (how == "named"), sys.argv
    from test_gdb import free_port, wait_for  # late, because it imports much

    port = free_port()
    qemu = subprocess.Popen(
        (
            "qemu-system-arm", "-machine", "mps2-an386", "-nodefaults", "-display", "none",
            "-monitor", "none", "-serial", "null", "-icount", "shift=0", "-S",
            "-gdb", f"tcp:127.0.0.1:{port}",
        ),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    note(qemu.pid)
    signal.signal(signal.SIGTERM, lambda *_: qemu.kill())
    wait_for(port)
    print(f"0000900 I GDB server listening on port {port} (core 0) [gdbserver]", flush=True)
    if how == "dies":
        time.sleep(1)
        qemu.kill()
    qemu.wait()


def note(process: int) -> None:
    with Path(os.environ["FAKE_PYOCD_PIDS"]).open("a") as file:
        file.write(f"{process}\n")


main()
