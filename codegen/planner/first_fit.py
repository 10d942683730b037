# SPDX-License-Identifier: MIT
"""First fit along the program, as in Deutel et al., "Deployment of Energy-Efficient Deep Learning
Models on Cortex-M based Microcontrollers using Deep Compression", section 4.1."""

from __future__ import annotations

from codegen.planner.buffers import Geometry, Problem


def first_fit(problem: Problem) -> tuple[int, ...]:
    """Offsets when each step frees what died, then takes for each newborn the first gap from 0."""
    births = [b.first for b in problem.buffers]
    return Geometry(problem).place(sorted(range(len(births)), key=births.__getitem__))
