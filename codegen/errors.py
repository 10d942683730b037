# SPDX-License-Identifier: MIT
"""The errors that code generation raises: what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codegen.ir import Graph


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a model.

    `what` is a sentence; `where` names the node, tensor or file; `remedy` says what to do.
    """

    what: str
    where: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text} ({self.remedy})" if self.remedy else text


class CodegenError(Exception):
    """A model cannot become C. All problems found are collected and shown at once."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a CodegenError needs at least one Problem")
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class ModelError(CodegenError):
    """The file is not a valid, static ONNX model."""


class UnsupportedError(CodegenError):
    """The model is valid ONNX but uses something that has no kernel here."""


class RefusedError(UnsupportedError):
    """What one stage has no way for, with `graph`, in which these nodes are left as they were.

    The stages after it look at the rest, so that one message tells all that is refused.
    """

    def __init__(self, graph: Graph, *problems: Problem) -> None:
        super().__init__(*problems)
        self.graph = graph


class PlanError(CodegenError):
    """A memory plan is wrong or impossible."""
