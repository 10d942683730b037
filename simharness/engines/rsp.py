# SPDX-License-Identifier: MIT
"""A client of the GDB remote serial protocol: memory, registers, breakpoints, running.

It asks little of a stub (any of QEMU, Renode, OpenOCD, pyOCD, J-Link, probe-rs), believes nothing
it says without a checksum, and waits for no answer longer than it was told.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from types import TracebackType

from simharness.errors import FaultError, SimharnessError, ToolMissingError

_TRIES = 3
_LONGEST = 1 << 20
_CHUNK_BYTES = 512
_ESCAPE = 0x7D


class TargetError(FaultError):
    """The target or its server failed: it answered nonsense, too late, or not at all."""


class RefusedError(SimharnessError):
    """The server answered with an error number."""


class Connection:
    """A connection to a stub; every wait ends after `seconds`."""

    def __init__(self, target: str, *, seconds: float = 5.0) -> None:
        """Connect to HOST:PORT. Raises ToolMissingError when nobody answers there."""
        host, _, port = target.rpartition(":")
        self.target = target
        self.seconds = seconds
        try:
            self._socket = socket.create_connection((host or "localhost", int(port)), seconds)
        except (OSError, ValueError, OverflowError) as error:
            raise ToolMissingError(
                f"no GDB server answers at {target!r}: {error}; start one, such as "
                "'openocd -f board/...cfg' (port 3333) or 'pyocd gdbserver' (port 3333)"
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer, self._at = b"", 0

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, packet: str | bytes, *, seconds: float | None = None) -> bytes:
        """Send a packet; the answer. Empty when the stub does not know it."""
        self._send(packet.encode("ascii") if isinstance(packet, str) else packet)
        return self._receive(time.monotonic() + (seconds or self.seconds))

    def done(self, packet: str | bytes) -> None:
        """Send a packet whose answer must be OK. Raises RefusedError."""
        answer = self.ask(packet)
        if answer != b"OK":
            name = packet if isinstance(packet, str) else packet.decode("ascii", "replace")
            raise RefusedError(f"{self.target}: {name[:24]!r} was refused: {_printable(answer)}")

    def read(self, address: int, size: int) -> bytes:
        """Memory. Raises RefusedError where there is none."""
        data = b""
        while len(data) < size:
            want = min(_CHUNK_BYTES, size - len(data))
            answer = self.ask(f"m{address + len(data):x},{want:x}")
            part = _hex(answer)
            if not part or len(part) > want:
                raise RefusedError(
                    f"{self.target}: cannot read {want} bytes at {address + len(data):#010x}: "
                    f"{_printable(answer)}"
                )
            data += part
        return data

    def write(self, address: int, data: bytes) -> None:
        """Memory, not flash."""
        for at in range(0, len(data), _CHUNK_BYTES):
            part = data[at : at + _CHUNK_BYTES]
            self.done(f"M{address + at:x},{len(part):x}:{part.hex()}")

    def read_word(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def write_word(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(4, "little"))

    def register(self, number: int) -> int:
        """A 32-bit register by the stub's number; r0 to r15 have their own."""
        raw = _hex(self.ask(f"p{number:x}"))
        if len(raw) < 4 and number < 16:
            raw = _hex(self.ask("g"))[4 * number : 4 * number + 4]
        if len(raw) < 4:
            raise RefusedError(f"{self.target}: register {number} cannot be read")
        return int.from_bytes(raw[:4], "little")

    def set_register(self, number: int, value: int) -> None:
        word = value.to_bytes(4, "little")
        if self.ask(f"P{number:x}={word.hex()}") == b"OK":
            return
        raw = bytearray(_hex(self.ask("g")))
        if number >= 16 or len(raw) < 64:
            raise RefusedError(f"{self.target}: register {number} cannot be written")
        raw[4 * number : 4 * number + 4] = word
        self.done(f"G{raw.hex()}")

    def breakpoint(self, address: int) -> None:
        """A hardware breakpoint where the stub has them, else a software one."""
        if self.ask(f"Z1,{address:x},2") != b"OK":
            self.done(f"Z0,{address:x},2")

    def clear_breakpoint(self, address: int) -> None:
        if self.ask(f"z1,{address:x},2") != b"OK":
            self.ask(f"z0,{address:x},2")

    def run(self, *, seconds: float) -> str:
        """Continue; the stub's stop reply. On a timeout the target is halted: TargetError."""
        self._send(b"c")
        try:
            return self._stop(time.monotonic() + seconds)
        except TimeoutError:
            self._socket.sendall(b"\x03")
            with contextlib.suppress(TimeoutError):
                self._stop(time.monotonic() + self.seconds)
            raise TargetError(
                f"{self.target}: the program did not stop within {seconds:.0f} s"
            ) from None

    def halt(self) -> None:
        """Halt a running target; harmless when it is halted."""
        answer = self.ask("?")
        if answer[:1] not in (b"S", b"T"):
            self._socket.sendall(b"\x03")
            with contextlib.suppress(TimeoutError):
                self._stop(time.monotonic() + self.seconds)

    def monitor(self, text: str) -> bool:
        """A command of the server itself; whether it was taken."""
        self._send(f"qRcmd,{text.encode().hex()}".encode())
        end = time.monotonic() + self.seconds
        while True:
            answer = self._receive(end)
            if answer[:1] != b"O" or answer == b"OK":
                return answer == b"OK"

    def transfer(self, what: str) -> str:
        """A document, such as "memory-map:read:"; empty where the stub has none."""
        text = b""
        while True:
            answer = self.ask(f"qXfer:{what}:{len(text):x},{_CHUNK_BYTES:x}")
            if answer[:1] not in (b"m", b"l"):
                return ""
            text += answer[1:]
            if answer[:1] == b"l" or len(text) > _LONGEST:
                return text.decode("utf-8", "replace")

    def detach(self) -> None:
        """Let the target go; it runs on."""
        with contextlib.suppress(SimharnessError, OSError):
            self.ask("D")

    def flash_regions(self) -> Iterator[tuple[int, int, int]]:
        """Origin, size and block size of each flash that the server can program."""
        document = self.transfer("memory-map:read:")
        for tag, body in re.findall(
            r"<memory\s([^>]*type=[\"']flash[\"'][^>]*)>(.*?)</memory>", document, re.DOTALL
        ):
            start = re.search(r"start=[\"'](\w+)", tag)
            length = re.search(r"length=[\"'](\w+)", tag)
            block = re.search(r"name=[\"']blocksize[\"']>\s*(\w+)", body)
            if start and length:
                size = int(length[1], 0)
                yield int(start[1], 0), size, int(block[1], 0) if block else size

    def program_flash(self, address: int, data: bytes, block: int) -> None:
        """Erase the blocks under `data` and write it."""
        first, last = address // block * block, -(-(address + len(data)) // block) * block
        slow = max(self.seconds, 60.0)
        for packet in (
            f"vFlashErase:{first:x},{last - first:x}".encode(),
            *(
                f"vFlashWrite:{address + at:x}:".encode() + escaped(data[at : at + _CHUNK_BYTES])
                for at in range(0, len(data), _CHUNK_BYTES)
            ),
            b"vFlashDone",
        ):
            answer = self.ask(packet, seconds=slow)
            if answer != b"OK":
                words = _printable(answer)
                raise RefusedError(f"{self.target}: the flash was not written: {words}")

    def _stop(self, end: float) -> str:
        while True:
            answer = self._receive(end, timeout_is_ours=True)
            if answer[:1] in (b"S", b"T"):
                return answer.decode("ascii", "replace")
            if answer[:1] in (b"W", b"X"):
                raise TargetError(f"{self.target}: the program ended: {_printable(answer)}")
            if answer[:1] != b"O":
                raise TargetError(f"{self.target}: no stop reply: {_printable(answer)}")

    def _send(self, packet: bytes) -> None:
        frame = b"$" + packet + b"#%02x" % (sum(packet) & 0xFF)
        end = time.monotonic() + self.seconds
        for _ in range(_TRIES):
            try:
                self._socket.sendall(frame)
                while True:
                    mark = self._byte(end)
                    if mark == b"+":
                        return
                    if mark == b"-":
                        break
                    if mark == b"$":  # a late answer to an earlier packet
                        self._body(end)
            except TimeoutError:
                raise TargetError(f"{self.target}: no answer in {self.seconds:.0f} s") from None
            except OSError as error:
                raise TargetError(f"{self.target}: the connection broke: {error}") from error
        raise TargetError(f"{self.target}: it never takes {_printable(packet[:24])}")

    def _receive(self, end: float, *, timeout_is_ours: bool = False) -> bytes:
        try:
            for _ in range(_TRIES):
                noise = 0
                while (mark := self._byte(end)) not in (b"$", b"%"):
                    noise += mark not in (b"+", b"-")
                    if noise > _CHUNK_BYTES:
                        raise TargetError(f"{self.target}: it does not speak GDB's protocol")
                body, right = self._body(end)
                if right and mark == b"$":
                    self._socket.sendall(b"+")
                    return body
                if mark == b"$":
                    self._socket.sendall(b"-")
        except TimeoutError:
            if timeout_is_ours:
                raise
            raise TargetError(f"{self.target}: no answer in {self.seconds:.0f} s") from None
        except OSError as error:
            raise TargetError(f"{self.target}: the connection broke: {error}") from error
        raise TargetError(f"{self.target}: wrong checksums")

    def _body(self, end: float) -> tuple[bytes, bool]:
        """The rest of a packet, unpacked, and whether its checksum is right."""
        raw = bytearray()
        mark = -1
        while mark < 0:
            self._fill(end)
            mark = self._buffer.find(b"#", self._at)
            stop = len(self._buffer) if mark < 0 else mark
            raw += self._buffer[self._at : stop]
            self._at = stop
            if len(raw) > _LONGEST:
                raise TargetError(f"{self.target}: a packet without end")
        self._at += 1
        check = self._byte(end) + self._byte(end)
        right = check.lower() == b"%02x" % (sum(raw) & 0xFF)
        return unpacked(bytes(raw)), right

    def _byte(self, end: float) -> bytes:
        self._fill(end)
        self._at += 1
        return self._buffer[self._at - 1 : self._at]

    def _fill(self, end: float) -> None:
        """Something to read at `_at`."""
        if self._at < len(self._buffer):
            return
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        self._buffer, self._at = self._socket.recv(65536), 0
        if not self._buffer:
            raise TargetError(f"{self.target}: the server closed the connection")


def escaped(data: bytes) -> bytes:
    """Binary data as packets carry it."""
    return b"".join(bytes((_ESCAPE, b ^ 0x20)) if b in b"#$}*" else bytes((b,)) for b in data)


def unpacked(raw: bytes) -> bytes:
    """A packet's content without escapes and run lengths."""
    out, at = bytearray(), 0
    while at < len(raw):
        byte = raw[at]
        if byte == _ESCAPE and at + 1 < len(raw):
            out.append(raw[at + 1] ^ 0x20)
            at += 2
        elif byte == 0x2A and out and at + 1 < len(raw):
            out += bytes((out[-1],)) * max(0, raw[at + 1] - 29)
            at += 2
        else:
            out.append(byte)
            at += 1
    return bytes(out)


def _hex(answer: bytes) -> bytes:
    try:
        return bytes.fromhex(answer.decode("ascii"))
    except ValueError:
        return b""


def _printable(answer: bytes) -> str:
    return repr(answer[:48].decode("ascii", "replace")) if answer else "it does not know how"
