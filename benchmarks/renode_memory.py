# SPDX-License-Identifier: MIT
"""Renode's two roads to bulk memory: `python -m benchmarks.renode_memory` (needs Renode 1.16.1).

The engine lets Renode read and write files, by monitor commands over the port that is open anyway.
The External Control API (renode-api) needs a second port, which Renode opens on all interfaces, and
takes what is written in pieces of 16 bytes, copying all before with each: 1 KiB at a time is sent
here. Milliseconds, medians; every byte that was read is compared.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import time
from collections.abc import Callable

from simharness.engines import renode_server
from simharness.engines.renode_server import Server

ORIGIN = 0x2000_0000
SIZES = (1 << 10, 16 << 10, 256 << 10)
_ROUNDS = 5
_GET_MACHINE, _SYSTEM_BUS = 3, 6
_WRITE_BYTES = 1024


class Api:
    """A client of the External Control API: memory only."""

    def __init__(self, port: int, machine: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(struct.pack("<H4B", 2, _GET_MACHINE, 0, _SYSTEM_BUS, 0))
        assert self._receive(1) == b"\x05"
        name = machine.encode()
        (number,) = struct.unpack(
            "<i", self._ask(_GET_MACHINE, struct.pack("<I", len(name)) + name)
        )
        opened = self._ask(_SYSTEM_BUS, struct.pack("<iiI", -1, number, 6) + b"sysbus")
        (self._bus,) = struct.unpack("<i", opened)

    def read(self, address: int, size: int) -> bytes:
        return self._ask(_SYSTEM_BUS, struct.pack("<iBBQI", self._bus, 0, 0, address, size))

    def write(self, address: int, data: bytes) -> None:
        for at in range(0, len(data), _WRITE_BYTES):
            part = data[at : at + _WRITE_BYTES]
            head = struct.pack("<iBBQI", self._bus, 1, 0, address + at, len(part))
            self._ask(_SYSTEM_BUS, head + part)

    def _ask(self, command: int, data: bytes) -> bytes:
        self._socket.sendall(b"RE" + struct.pack("<BI", command, len(data)) + data)
        code = self._receive(1)[0]
        self._receive(code != 1)  # which command it was, but for fatal errors
        text = b"" if code in (2, 4) else self._receive(*struct.unpack("<I", self._receive(4)))
        if code not in (3, 4):
            raise RuntimeError(f"code {code}: {text.decode(errors='replace')}")
        return text

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ConnectionError("Renode closed the connection")
            data += part
        return data


def _milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    server = Server(renode_server.program() or "")
    try:
        repl = server.folder / "machine.repl"
        repl.write_text(f"ram: Memory.MappedMemory @ sysbus {ORIGIN:#x}\n    size: 0x100000\n")
        server.command('mach create "m"')
        server.command(f"machine LoadPlatformDescription @{repl}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server.command(f'emulation CreateExternalControlServer "api" {port}')
        api = Api(port, "m")
        print(
            f"{'bytes':>8} {'file write':>11} {'file read':>10} {'api write':>10} {'api read':>9}"
        )
        for size in SIZES:
            data = os.urandom(size)
            columns = [
                _milliseconds(lambda d=data: server.write(ORIGIN, d)),
                _milliseconds(lambda n=size: server.read(ORIGIN, n)),
            ]
            assert server.read(ORIGIN, size) == data
            server.write(ORIGIN, bytes(size))
            columns += [
                _milliseconds(lambda d=data: api.write(ORIGIN, d)),
                _milliseconds(lambda n=size: api.read(ORIGIN, n)),
            ]
            assert api.read(ORIGIN, size) == server.read(ORIGIN, size) == data
            print("{:8} {:11.1f} {:10.1f} {:10.1f} {:9.1f}".format(size, *columns))
    finally:
        server.close()


if __name__ == "__main__":
    main()
