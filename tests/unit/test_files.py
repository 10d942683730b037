# SPDX-License-Identifier: MIT
"""What users name for output is replaced as a whole, unless it is no plain file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from simharness.files import write_file


def test_a_pipe_or_device_is_written_to_and_stays(tmp_path: Path) -> None:
    """As root, a rename over /dev/null would take it from the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    write_file(pipe, "report")

    reader.join(10)
    assert read == ["report"]
    assert pipe.is_fifo()
