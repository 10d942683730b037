# SPDX-License-Identifier: MIT
"""Answers QEMU's plugin in memory mode: what each block costs and which instructions access data.

The plugin (simharness/native/qemu_memory.c) asks over a pipe once per translated block, because the
cost model is Python; the addresses it sees by itself.
"""

from __future__ import annotations

import os
import struct
import threading
from types import TracebackType
from typing import Self

from cycle_models.addresses import plan
from cycle_models.core import Core
from cycle_models.decode import Decoder
from cycle_models.memory import Cost
from cycle_models.profile import CodeImage
from cycle_models.timing import block_cost

_QUESTION = struct.Struct("=2I")
_ACCESS = struct.Struct("=4I")


class Plans:
    """Two pipes and a thread that answers; a context for the life of one QEMU.

    `ask` and `answer` are the descriptors for the plugin, `config` is the simulator's.
    """

    def __init__(self, code: CodeImage, core: Core, config: bytes) -> None:
        self.config = config
        self._code = code
        self._decoder = Decoder(code)
        self._cost = block_cost(code, core)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        questions, self.ask = os.pipe()
        self.answer, answers = os.pipe()
        self._thread = threading.Thread(target=self._serve, args=(questions, answers))
        self._thread.start()
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.started()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def started(self) -> None:
        """QEMU has its own copies of the descriptors: its end ends the thread."""
        if self._open:
            os.close(self.ask)
            os.close(self.answer)
            self._open = False

    def _serve(self, questions: int, answers: int) -> None:
        with open(questions, "rb", buffering=0) as asked, open(answers, "wb", buffering=0) as out:
            try:
                while len(question := asked.read(_QUESTION.size)) == _QUESTION.size:
                    out.write(self._plan(*_QUESTION.unpack(question)))
            except BrokenPipeError:
                pass  # QEMU was killed between question and answer
            except Exception as error:  # for the thread that waits
                self._error = error

    def _plan(self, address: int, size: int) -> bytes:
        """Code outside of the image gets two bytes a cycle and no accesses, as in Unicorn."""
        cost = Cost()
        try:
            size = whole(self._code, self._decoder, address, size)
            cost.fill(*self._cost(address, size))
            operations = plan(self._decoder, self._code, address, size).operations
        except KeyError:
            cost.fill(size / 2, [])
            operations = ()
        accesses = [
            _ACCESS.pack(o.at, o.size_bytes, o.count, o.kind == "write")
            for o in operations
            if o.kind in ("load", "read", "write")
        ]
        head = (struct.pack("=I", size), bytes(cost), struct.pack("=I", len(accesses)))
        return b"".join((*head, *accesses))


_LONG_BYTES = 128
_PAGE_BYTES = 1024


def whole(code: CodeImage, decoder: Decoder, address: int, size: int) -> int:
    """The size of the block at `address` up to the branch or the end of the page that ends it.

    QEMU's own ends before where the plugin's instrumentation fills its buffer, which takes a long
    block. Code that is not in `code` stays as it is.
    """
    if size < _LONG_BYTES:
        return size
    end, page_end = address + size, (address | _PAGE_BYTES - 1) + 1
    try:
        last = decoder.block(address, size)[-1]
        while not last.is_branch and end < page_end:
            length = 4 if code.read(end + 1, 1)[0] >= 0xE8 else 2
            if end + length > page_end:
                break
            (last,) = decoder.block(end, length)
            end = last.end
    except KeyError:
        pass
    return end - address
