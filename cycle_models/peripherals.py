# SPDX-License-Identifier: MIT
"""What start-up code and consoles ask of a chip: ready flags, UARTs, timers, from chip files."""

from __future__ import annotations

from dataclasses import dataclass

from cycle_models.chip import Chip
from cycle_models.machine_file import integer_of


@dataclass(frozen=True, slots=True)
class Uart:
    """A UART of the STM32 kind with ISR, RDR and TDR registers; `irq` is its interrupt number."""

    name: str
    origin: int
    irq: int


@dataclass(frozen=True, slots=True)
class Reads:
    """A register that does not read back what was written.

    `follow` are pairs (from, to): bit `to` reads as bit `from` of the register at `of` (mostly
    itself). The bits of `ones` read as 1, those of `zeros` as 0.
    """

    name: str
    address: int
    of: int
    follow: tuple[tuple[int, int], ...]
    ones: int
    zeros: int


@dataclass(frozen=True, slots=True)
class Timer:
    """A free-running 32-bit counter at `address`, `ratio` times the core clock, then prescaled.

    `prescaler` is the address of the register that divides it by its value plus one, 0 for none.
    """

    name: str
    address: int
    ratio: float
    prescaler: int


@dataclass(frozen=True, slots=True)
class Peripherals:
    """Everything of a chip beside core and memories that firmware depends on."""

    uarts: tuple[Uart, ...]
    reads: tuple[Reads, ...]
    timers: tuple[Timer, ...]


def peripherals(chip: Chip) -> Peripherals:
    """The peripherals in a chip's file; none where it describes none."""
    tables = {key: chip.table.get(key, {}) for key in ("uart", "reads", "timer")}
    uarts = tuple(
        Uart(
            name,
            integer_of(chip.path, t, "origin", f"uart.{name}"),
            integer_of(chip.path, t, "irq", f"uart.{name}"),
        )
        for name, t in tables["uart"].items()
    )
    reads = tuple(
        Reads(
            name,
            integer_of(chip.path, t, "address", f"reads.{name}"),
            int(t.get("of", t["address"])),
            tuple((int(a), int(b)) for a, b in t.get("follow", [])),
            int(t.get("ones", 0)),
            int(t.get("zeros", 0)),
        )
        for name, t in tables["reads"].items()
    )
    timers = tuple(
        Timer(
            name,
            integer_of(chip.path, t, "address", f"timer.{name}"),
            float(t.get("ratio", 1.0)),
            int(t.get("prescaler", 0)),
        )
        for name, t in tables["timer"].items()
    )
    return Peripherals(uarts, reads, timers)
