# SPDX-License-Identifier: MIT
"""A GDB server that misbehaves, in a thread of the test."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

How = Literal["garbage", "deaf", "checksum", "closes", "hangs", "dies", "errors", "endless"]


@contextlib.contextmanager
def bad_stub(how: How) -> Iterator[str]:
    """Its HOST:PORT. "hangs" and "dies" behave until the target is told to run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, how), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
    thread.join(timeout=5)


def packet(body: bytes, *, wrong: bool = False) -> bytes:
    return b"$" + body + b"#%02x" % ((sum(body) + wrong) & 0xFF)


def _serve(server: socket.socket, how: How) -> None:
    with contextlib.suppress(OSError):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(20)
            _talk(connection, how)


def _talk(connection: socket.socket, how: How) -> None:
    memory: dict[int, int] = {}
    buffer = b""
    if how == "closes":
        return
    while data := connection.recv(65536):
        if how == "garbage":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 40)
            continue
        if how == "deaf":
            continue
        if data[:1] == b"-":
            connection.sendall(packet(b"OK", wrong=True))
            continue
        buffer += data
        while b"#" in buffer and len(buffer) >= buffer.index(b"#") + 3:
            end = buffer.index(b"#")
            body = buffer[buffer.index(b"$") + 1 : end]
            buffer = buffer[end + 3 :]
            if how == "endless":
                connection.sendall(b"+$" + b"0" * 3_000_000)
                return
            if body == b"c" and how == "dies":
                return
            connection.sendall(b"+")
            if body == b"c" and how == "hangs":
                continue
            connection.sendall(packet(_answer(body, memory, how), wrong=how == "checksum"))


def _answer(body: bytes, memory: dict[int, int], how: How) -> bytes:
    """A board that keeps what is written to it, and refuses all when `how` is "errors"."""
    if body == b"?":
        return b"S05"
    if how == "errors":
        return b"E01"
    if body[:1] == b"m":
        address, size = (int(n, 16) for n in body[1:].split(b","))
        return bytes(memory.get(address + i, 0) for i in range(size)).hex().encode()
    if body[:1] == b"M":
        head, data = body[1:].split(b":")
        address = int(head.split(b",")[0], 16)
        memory.update({address + i: b for i, b in enumerate(bytes.fromhex(data.decode()))})
        return b"OK"
    if body[:1] == b"p":
        return b"00000001"
    return b"OK" if body[:1] in b"PZzDG" else b""
