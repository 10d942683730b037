# SPDX-License-Identifier: MIT
"""A bill says how often each rule applied; cycles, intervals and shares follow from it."""

from __future__ import annotations

from collections.abc import Mapping

from cycle_models.core import Rule

Bill = tuple[tuple[str, int], ...]
"""Pairs of rule name and how often it applied, sorted by name."""


class BillBuilder:
    """Collects the charges of one walk. Rules that the core does not have cost nothing and are
    not kept.
    """

    __slots__ = ("_counts", "_rules")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules
        self._counts: dict[str, int] = {}

    def add(self, rule: str, times: int = 1) -> None:
        if times and rule in self._rules:
            self._counts[rule] = self._counts.get(rule, 0) + times

    def done(self) -> Bill:
        return tuple(sorted(self._counts.items()))
