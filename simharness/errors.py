# SPDX-License-Identifier: MIT
"""One exception tree; each class knows the exit code that the command line gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from codegen.errors import CodegenError
from cycle_models.errors import MachineError


class SimharnessError(Exception):
    """Anything that simharness reports to its user: what is wrong, where, and what to do."""

    exit_code = 2


class UsageError(SimharnessError):
    """Wrong usage, a bad model, bad inputs or a bad machine file."""


class GateError(SimharnessError):
    """A check or a gate failed: the outputs differ, or a figure got worse."""

    exit_code = 1


class ToolMissingError(SimharnessError):
    """A tool is not installed; the message carries the command that installs it."""

    exit_code = 3


class BuildError(SimharnessError):
    """The compiler refused generated or given C."""

    exit_code = 2


class FaultError(SimharnessError):
    """The emulated program faulted or exceeded its budget; names layer, symbol and address."""

    exit_code = 4


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the lower packages, which know nothing of simharness, into `UsageError`."""
    try:
        yield
    except (CodegenError, MachineError) as error:
        raise UsageError(str(error)) from error


@contextmanager
def about(file: str) -> Iterator[None]:
    """Put the name of the file that was being read before what is wrong with it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
