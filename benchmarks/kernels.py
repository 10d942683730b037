# SPDX-License-Identifier: MIT
"""Our kernels beside other engines' figures: `python -m benchmarks.kernels [LAYER ...]`.

The same as `simharness bench kernels`.
"""

from __future__ import annotations

import sys

from simharness.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "kernels", *sys.argv[1:]]))
