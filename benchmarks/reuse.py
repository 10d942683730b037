# SPDX-License-Identifier: MIT
"""What `sim` costs the second time: `python benchmarks/reuse.py MODEL [CORE]`.

Three runs of pytest, each a process of its own, on a test in a new folder with a cache of its own:
the first run, the second, and a third that may not take the second's report (the compiled program
is in the cache by then). Seconds are those of the call to `sim`, imports included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TEST = """
import pathlib, time

def test_network(sim):
    start = time.perf_counter()
    sim({model!r}, core={core!r}, gate=False)
    pathlib.Path("seconds").write_text(str(time.perf_counter() - start))
"""


def main(model: str, core: str = "m4") -> None:
    path = model if model.startswith("zoo:") else str(Path(model).resolve())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "test_it.py").write_text(TEST.format(model=path, core=core), encoding="utf-8")
        first, second, again = (seconds(folder, *options) for options in (
            (), (), ("--simharness-no-reuse",),
        ))  # fmt: skip
    print(f"{'first run':<28}{first:8.2f} s")
    print(f"{'second run':<28}{second:8.2f} s   1/{first / second:.0f} of the first")
    print(f"{'with --simharness-no-reuse':<28}{again:8.2f} s   1/{first / again:.1f} of the first")


def seconds(folder: Path, *options: str) -> float:
    """Run the test once; what its call to `sim` took."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ, "PYTHONPATH": path, "SIMHARNESS_CACHE_DIR": str(folder / "cache"),
    }  # fmt: skip
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return float((folder / "seconds").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(*sys.argv[1:])
