# SPDX-License-Identifier: MIT
"""Peripherals of a board: a register file that reads back, with the few exceptions a chip needs.

Unknown registers read back what was written; each is logged once, with its address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cycle_models.peripherals import Peripherals, Uart

_ISR, _RDR, _TDR = 0x1C, 0x24, 0x28
_UART_BYTES = 0x400
_RXNE = 1 << 5
_READY = (1 << 7) | (1 << 6) | (1 << 21) | (1 << 22)  # TXE, TC, TEACK, REACK
_RXNEIE = 1 << 5
_SYST_CSR, _SYST_RVR, _SYST_CVR = 0xE000E010, 0xE000E014, 0xE000E018
_DWT_CYCCNT = 0xE0001004
_VTOR = 0xE000ED08
_COUNTFLAG = 1 << 16


@dataclass(slots=True, eq=False)
class Devices:
    """The registers of a board. `now` gives modelled core cycles; `on_timer` hears of timer reads,
    `on_sent` of bytes sent, `on_systick` of changes to SysTick.

    `sent` is what the firmware wrote to any UART; `waiting` are bytes on their way to it.
    """

    chip: Peripherals
    vectors: int
    now: Callable[[], float]
    on_timer: Callable[[], None] = lambda: None
    on_sent: Callable[[], None] = lambda: None
    on_systick: Callable[[], None] = lambda: None
    sent: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    unknown: dict[int, int] = field(default_factory=dict)
    _values: dict[int, int] = field(default_factory=dict)
    _next_tick: float = 0.0

    def read(self, address: int, size: int) -> int:
        """What the firmware reads."""
        word = address & ~3
        value = self._word(word)
        return (value >> 8 * (address & 3)) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        """What the firmware writes."""
        word, shift = address & ~3, 8 * (address & 3)
        uart = self._uart(word)
        if uart is not None and word - uart.origin == _TDR:
            self.sent.append(value & 0xFF)
            self.on_sent()
            return
        mask = ((1 << 8 * size) - 1) << shift
        self._values[word] = (self._values.get(word, 0) & ~mask) | ((value << shift) & mask)
        if word in (_SYST_CSR, _SYST_CVR):
            self._next_tick = self.now() + self._values.get(_SYST_RVR, 0) + 1
            self.on_systick()

    def _word(self, word: int) -> int:
        uart = self._uart(word)
        if uart is not None:
            offset = word - uart.origin
            if offset == _ISR:
                return _READY | (_RXNE if self.waiting else 0)
            if offset == _RDR:
                return self.waiting.pop(0) if self.waiting else 0
        value = self._values.get(word, 0)
        for timer in self.chip.timers:
            if timer.address == word:
                self.on_timer()
                divide = self._values.get(timer.prescaler, 0) + 1 if timer.prescaler else 1
                return int(self.now() * timer.ratio / divide) & 0xFFFFFFFF
        if word == _DWT_CYCCNT:
            self.on_timer()
            return int(self.now()) & 0xFFFFFFFF
        if word == _SYST_CVR:
            period = self._values.get(_SYST_RVR, 0) + 1
            return int(-self.now()) % period
        described = [r for r in self.chip.reads if r.address == word]
        for r in described:
            other = self._values.get(r.of, 0)
            for source, target in r.follow:
                value = (value & ~(1 << target)) | ((other >> source & 1) << target)
            value = (value | r.ones) & ~r.zeros
        if described:
            return value
        if word < 0xE0000000:
            self.unknown[word] = self.unknown.get(word, 0) + 1
        return value

    def _uart(self, word: int) -> Uart | None:
        for uart in self.chip.uarts:
            if uart.origin <= word < uart.origin + _UART_BYTES:
                return uart
        return None

    def pending(self) -> int | None:
        """The exception number that wants to interrupt now, or None."""
        if self.waiting:
            for uart in self.chip.uarts:
                if self._values.get(uart.origin, 0) & _RXNEIE:
                    return 16 + uart.irq
        if self._values.get(_SYST_CSR, 0) & 3 == 3 and self.now() >= self._next_tick:
            self._next_tick = self.now() + self._values.get(_SYST_RVR, 0) + 1
            self._values[_SYST_CSR] |= _COUNTFLAG
            return 15
        return None

    def cycles_to_tick(self) -> float | None:
        """Core cycles until SysTick interrupts; None when it will not."""
        if self._values.get(_SYST_CSR, 0) & 3 != 3:
            return None
        return max(0.0, self._next_tick - self.now())

    def vector_table(self) -> int:
        """Where exceptions find their handlers."""
        return self._values.get(_VTOR, 0) or self.vectors
