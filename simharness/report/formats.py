# SPDX-License-Identifier: MIT
"""The report's formats by name; a view is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simharness.report.model import Report

_VIEWS: Mapping[str, tuple[str, str]] = {
    "json": ("serial", "to_json"),
    "md": ("markdown", "render"),
    "html": ("html", "render"),
    "csv": ("exports", "to_csv"),
    "junit": ("exports", "to_junit"),
    "benchmark": ("exports", "to_benchmark"),
    "callgrind": ("profiles", "to_callgrind"),
    "speedscope": ("profiles", "to_speedscope"),
    "trace": ("profiles", "to_chrome_trace"),
}
FORMATS: tuple[str, ...] = tuple(_VIEWS)


def view(report: Report, style: str) -> str:
    """The report in one of `FORMATS`; equal reports give equal text."""
    module, function = _VIEWS[style]
    render: Callable[[Report], str] = getattr(
        import_module(f"simharness.report.{module}"), function
    )
    return render(report)
