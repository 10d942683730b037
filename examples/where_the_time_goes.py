# SPDX-License-Identifier: MIT
"""Where does the time go, and what would half the clock cost? Reads one typed report, writes HTML.

python examples/where_the_time_goes.py [MODEL] [PAGE.html]
"""

from __future__ import annotations

import sys
from pathlib import Path

import simharness
from simharness.report import html
from simharness.report.compare import compare
from simharness.report.comparison_views import text


def main(model: str = "zoo:lenet5-int8", page: str = "report.html") -> None:
    fast = simharness.run(model, board="STM32F446", samples=1)
    slow = simharness.run(model, board="STM32F446", clock_hz=90_000_000, samples=1)
    dearest = max(fast.results.layers, key=lambda y: y.share or 0.0)
    parts = dearest.parts or {}
    print(f"{dearest.name} takes {100 * (dearest.share or 0.0):.0f}% of all cycles:")
    for part, cycles in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {part:14}{cycles:10,}")
    print(text(compare(fast, slow, {}, anyway=True), layers=False))
    Path(page).write_text(html.render(fast), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
