# SPDX-License-Identifier: MIT
"""What will my network do on that microcontroller?

>>> import simharness
>>> report = simharness.run("zoo:lenet5-int8", core="m4")
>>> report.ok
True

Importing this costs nothing: the pipeline is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simharness.api import build, profile, run
    from simharness.report.model import Report

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "build", "profile", "run"]


def __getattr__(name: str) -> object:
    """Import what is asked for, and no more."""
    if name == "Report":
        from simharness.report import model

        return model.Report
    if name in __all__:
        from simharness import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
