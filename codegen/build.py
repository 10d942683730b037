# SPDX-License-Identifier: MIT
"""The whole way from a model file to C in one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codegen.emit import Program, Sources, build_program, model_name, render
from codegen.ir import Graph
from codegen.kernels import select
from codegen.kernels.base import Variant
from codegen.load import load
from codegen.ops import View
from codegen.passes import lower
from codegen.passes.dead_channels import Savings, remove_dead_channels
from codegen.planner import MemoryPlan, Strategy, plan_memory
from codegen.planner.check import check
from codegen.planner.materialize import materialize
from codegen.planner.needs import needs
from codegen.planner.order import choose_order, reordered
from codegen.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """Every stage's value.

    `graph` is lowered and in execution order; `selection` follows its nodes. `order` gives, for
    each node of `graph`, its place in the graph as lowering left it.
    """

    name: str
    target: Target
    graph: Graph
    order: tuple[int, ...]
    selection: tuple[Variant | None, ...]
    plan: MemoryPlan
    program: Program
    sources: Sources
    savings: Savings


def compile_model(
    model: str | Path | Graph,
    target: Target,
    *,
    strategy: Strategy = "auto",
    name: str | None = None,
) -> Compiled:
    """Compile an ONNX file, or a loaded graph, to C for `target`.

    `name` becomes the prefix of every symbol and file (made a C identifier); the file's stem by
    default. Raises ModelError, UnsupportedError, or PlanError when the independent checker convicts
    the plan.
    """
    if isinstance(model, Graph):
        graph, title = model, name or model.name
    else:
        graph, title = load(model), name or Path(model).stem
    return compile_lowered(lower(graph), target, strategy=strategy, name=title)


def compile_lowered(
    graph: Graph, target: Target, *, strategy: Strategy = "auto", name: str
) -> Compiled:
    """As `compile_model`, from a graph in the lowered dialect."""
    safe_name = model_name(name)
    live, savings = remove_dead_channels(graph)
    given = materialize(live)
    chosen = tuple(
        None if isinstance(node.op, View) else select(node, given, target) for node in given.nodes
    )
    needed = needs(given, chosen, target)
    order = choose_order(given, needed)
    ordered, selection = reordered(given, order), tuple(chosen[i] for i in order)
    plan = plan_memory(ordered, tuple(needed[i] for i in order), strategy=strategy)
    program = build_program(safe_name, ordered, selection, plan, target)
    check(program, ordered, selection, target)
    return Compiled(
        safe_name, target, ordered, order, selection, plan, program, render(program), savings
    )  # fmt: skip
