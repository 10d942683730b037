# SPDX-License-Identifier: MIT
"""The whole way from a model file to C in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codegen.emit import Program, Sources, build_program, model_name, render
from codegen.errors import Problem, RefusedError
from codegen.fit import Alternative, Choice, Patches, arrange
from codegen.ir import Graph
from codegen.kernels.base import Variant
from codegen.load import load
from codegen.passes import lower
from codegen.passes.dead_channels import Savings, remove_dead_channels
from codegen.passes.fuse_residual import fuse_residuals
from codegen.planner import Bank, MemoryPlan, Strategy, plan_banks
from codegen.planner.check import check
from codegen.planner.materialize import materialize
from codegen.planner.needs import needs
from codegen.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """Every stage's value.

    `graph` is lowered and in execution order; `selection` follows its nodes. `order` gives, for
    each node of `graph`, its place in the graph as lowering (and tiling) left it. `choices` tells
    what was given up for memory, `alternatives` what else was planned to meet a limit.
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
    choices: tuple[Choice, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    @property
    def held_bytes(self) -> int:
        """The most that a layer's scratch holds of copied weights."""
        return max(
            (
                variant.held_bytes(node, self.graph, self.target)
                for node, variant in zip(self.graph.nodes, self.selection, strict=True)
                if variant is not None
            ),
            default=0,
        )


def compile_model(
    model: str | Path | Graph,
    target: Target,
    *,
    strategy: Strategy = "auto",
    name: str | None = None,
    patches: Patches = "off",
    ram_limit_bytes: int | None = None,
) -> Compiled:
    """Compile an ONNX file, or a loaded graph, to C for `target`.

    `name` becomes the prefix of every symbol and file (made a C identifier); the file's stem by
    default. `patches` and `ram_limit_bytes` trade work for memory: see `codegen.fit`. Raises
    ModelError, UnsupportedError, or PlanError when no program fits the limit or when the
    independent checker convicts the plan.
    """
    refused: tuple[Problem, ...] = ()
    if isinstance(model, Graph):
        graph, title = model, name or model.name
    else:
        title = name or Path(model).stem
        try:
            graph = load(model)
        except RefusedError as error:
            graph, refused = error.graph, error.problems
    return compile_lowered(
        lower(graph, refused),
        target,
        strategy=strategy,
        name=title,
        patches=patches,
        ram_limit_bytes=ram_limit_bytes,
    )


def compile_lowered(
    graph: Graph,
    target: Target,
    *,
    strategy: Strategy = "auto",
    name: str,
    patches: Patches = "off",
    ram_limit_bytes: int | None = None,
) -> Compiled:
    """As `compile_model`, from a graph in the lowered dialect."""
    safe_name = model_name(name)
    live, savings = remove_dead_channels(graph)
    whole = fuse_residuals(materialize(live), target)
    made = arrange(whole, target, strategy, patches, ram_limit_bytes)
    program = build_program(safe_name, made.graph, made.selection, made.plan, target)
    check(program, made.graph, made.selection, target)
    return Compiled(
        safe_name,
        target,
        made.graph,
        made.order,
        made.selection,
        made.plan,
        program,
        render(program),
        savings,
        made.choices,
        made.alternatives,
    )


def in_banks(compiled: Compiled, banks: Sequence[Bank], strategy: Strategy = "auto") -> Compiled:
    """The same program with its arena over several memories, those most wanted first.

    Raises PlanError when no split is found, or when the independent checker convicts it.
    """
    graph, selection, target = compiled.graph, compiled.selection, compiled.target
    plan = plan_banks(graph, needs(graph, selection, target), banks, strategy=strategy)
    program = build_program(compiled.name, graph, selection, plan, target)
    check(program, graph, selection, target)
    return replace(compiled, plan=plan, program=program, sources=render(program))
