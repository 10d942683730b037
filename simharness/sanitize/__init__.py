# SPDX-License-Identifier: MIT
"""The dynamic check of a memory plan: every byte of the arena knows which tensor it holds.

A run under watch convicts a layer that reads a byte which is dead, uninitialized, another tensor's
or already overwritten by its own output, and one that writes anything but its outputs and scratch.
In-place and overlapped kernels are held to the same rules. What a layer may touch comes from the
emitted program (`contract`), or for any other ELF from a file of regions (`read_contract`).
"""

from __future__ import annotations

from simharness.sanitize.contract import Contract, Region, contract, spread
from simharness.sanitize.contract_file import read_contract
from simharness.sanitize.watch import UNWRITTEN, Watch, sanitize, watched

__all__ = [
    "UNWRITTEN", "Contract", "Region", "Watch", "contract", "read_contract", "sanitize", "spread",
    "watched",
]  # fmt: skip
