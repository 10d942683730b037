# SPDX-License-Identifier: MIT
"""The planner and the sanitizer on random networks.

    python benchmarks/random_networks.py [--networks 500] [--watched 200] [--core m4]

Plans of random networks (Hypothesis makes up the same ones each time), each cleared by the
independent checker; a plan for 300 nodes; and random networks run under the sanitizer. Exit code 1
when a plan is above greedy by size, fewer than 95 % are proven optimal, another is more than 3 %
above its lower bound, the large plan takes 2 s of CPU, or the sanitizer gives a false alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from planner import claims

from codegen import compile_lowered
from codegen.ir import Graph
from codegen.planner import MemoryPlan, plan_memory
from codegen.planner.materialize import materialize
from codegen.planner.needs import needs
from codegen.planner.order import choose_order, reordered
from codegen.swaps import fastest
from codegen.target import target
from simharness import execution, pipeline
from simharness.testing.networks import Builder, networks


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", type=int, default=500, help="to plan")
    parser.add_argument("--watched", type=int, default=200, help="to run under watch")
    parser.add_argument("--core", default="m4", choices=("m0plus", "m3", "m4", "m7", "m33"))
    arguments = parser.parse_args()
    held = random_networks(arguments.networks, arguments.core)
    held &= large_network(arguments.core)
    held &= no_false_alarm(arguments.watched, arguments.core)
    return int(not held)


def each_network(count: int, visit: Callable[[Graph], None]) -> None:
    """Visit as many networks as Hypothesis makes up, the same ones each time."""
    if not count:
        return

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(networks())
    def check(graph: Graph) -> None:
        visit(graph)

    check()


def random_networks(count: int, core: str) -> bool:
    """Plans of random networks, each cleared by the independent checker."""
    chip = target(core)  # type: ignore[arg-type]
    greedy: list[MemoryPlan] = []
    best: list[MemoryPlan] = []

    def visit(graph: Graph) -> None:
        greedy.append(compile_lowered(graph, chip, name="m", strategy="greedy_by_size").plan)
        best.append(compile_lowered(graph, chip, name="m").plan)

    each_network(count, visit)
    print(f"{len(best)} random networks on {core}")
    return claims(greedy, best)


def large_network(core: str, nodes: int = 300) -> bool:
    """The CPU seconds of a plan for a network of blocks with residual sums."""
    b = Builder((1, 8, 8, 8))
    x = b.inputs[0]
    while len(b.nodes) < nodes:
        y = b.conv(b.lut(b.conv(x, 16, 1, len(b.nodes)), 1), 8, 3, 2)
        x = b.plus(x, y)
    chip = target(core)  # type: ignore[arg-type]
    graph = materialize(b.graph(x))
    needed = needs(graph, fastest(graph, chip), chip)
    before = time.process_time()
    order = choose_order(graph, needed)
    made = plan_memory(reordered(graph, order), [needed[i] for i in order])
    seconds = time.process_time() - before
    print(
        f"\n{nodes} nodes: order, views and plan in {seconds:.2f} s of CPU (less than 2); "
        f"arena {made.arena_bytes}, bound {made.lower_bound_bytes}"
    )
    return seconds < 2


def no_false_alarm(count: int, core: str) -> bool:
    """Random networks under watch."""
    machine = pipeline.machine_for(core, None, None)
    seen: list[str] = []
    ran = 0

    def visit(graph: Graph) -> None:
        nonlocal ran
        dice = np.random.default_rng(ran)
        sizes = [graph.tensors[name].size_bytes for name in graph.inputs]
        values = tuple(dice.integers(0, 256, n, dtype=np.uint8).tobytes() for n in sizes)
        compiled = compile_lowered(graph, target(machine.core), name="m")
        built = pipeline.link(compiled, machine, "auto")
        found = execution.watched(compiled, built, machine, "auto", values, budget=10**8)
        seen.extend(f"{v.layer} {v.what}" for v in found.violations)
        ran += 1

    each_network(count, visit)
    if count:
        print(f"\n{ran} random networks under watch on {core}: {len(seen)} false alarms")
    return not seen


if __name__ == "__main__":
    sys.exit(main())
