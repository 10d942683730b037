# SPDX-License-Identifier: MIT
"""The error that machine files and models raise."""

from __future__ import annotations


class MachineError(Exception):
    """A machine file or a measurement file is wrong: the message names file, line or key, and
    remedy.
    """
