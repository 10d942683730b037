# SPDX-License-Identifier: MIT
"""Where every tensor lives: pure functions from lifetimes to offsets, and a checker apart."""

from __future__ import annotations

from codegen.planner.banks import Bank
from codegen.planner.buffers import Buffer, Overlay, Packing
from codegen.planner.memory import plan_banks, plan_memory
from codegen.planner.memory_plan import BankUse, MemoryPlan, Placed
from codegen.planner.strategy import Strategy, plan

__all__ = [
    "Bank", "BankUse", "Buffer", "MemoryPlan", "Overlay", "Packing", "Placed", "Strategy", "plan",
    "plan_banks", "plan_memory",
]  # fmt: skip
