# SPDX-License-Identifier: MIT
"""Which microcontroller for this network? A line per board: does it fit, how fast, at what cost.

python examples/choose_a_part.py [MODEL] [BOARD...]
"""

from __future__ import annotations

import sys

import simharness
from simharness.report.model import Interval

BOARDS = ("RP2040", "STM32F446", "nRF52840", "STM32U575", "STM32H743")


def main(model: str = "zoo:lenet5-int8", *boards: str) -> None:
    print(f"{'board':10}  {'fits':4}  {'ms':>22}  {'uJ':>22}  {'free RAM':>9}")
    for board in boards or BOARDS:
        results = simharness.run(model, board=board, samples=1).results
        ram = [m for m in results.fit.memories if m.name != "flash"]
        free = sum(m.available_bytes - m.used_bytes for m in ram)
        fits = "yes" if results.fit.ok else "no"
        figures = spread(results.time_ms), spread(results.energy_uj)
        print(f"{board:10}  {fits:4}  {'  '.join(figures)}  {free:9,}")


def spread(figure: Interval | None) -> str:
    """Low, middle and high of a modelled figure."""
    if figure is None:
        return f"{'-':>22}"
    return f"{figure.low:6.4g} {figure.mid:7.4g} {figure.high:7.4g}".rjust(22)


if __name__ == "__main__":
    main(*sys.argv[1:])
