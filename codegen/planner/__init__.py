# SPDX-License-Identifier: MIT
"""Where every tensor lives: pure functions from lifetimes to offsets, and a checker apart."""

from __future__ import annotations

from codegen.planner.buffers import Buffer, Overlay, Packing
from codegen.planner.memory import plan_memory
from codegen.planner.memory_plan import MemoryPlan, Placed
from codegen.planner.strategy import Strategy, plan

__all__ = [
    "Buffer", "MemoryPlan", "Overlay", "Packing", "Placed", "Strategy", "plan", "plan_memory",
]  # fmt: skip
