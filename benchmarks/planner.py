# SPDX-License-Identifier: MIT
"""How good and how quick the memory planner is.

    python benchmarks/planner.py [--sets 2000] [--seed 0] [FOLDER_OR_MODEL ...]

For each model: arena bytes by strategy, lower bound, CPU seconds of the default. Then the same for
random sets of live ranges, and those in two memories: how many have a split, how far the use of
the first memory is from the best there is. Time is this process's CPU time. Exit code 1 when a
packing is above greedy by size, or fewer than 95 % are proven optimal, or another is more than 3 %
above the lower bound. Networks have a benchmark of their own: random_networks.py.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from codegen import compile_model
from codegen.errors import CodegenError
from codegen.planner import Bank, Buffer, MemoryPlan, Packing, Strategy, plan
from codegen.planner.banks import split
from codegen.planner.buffers import Problem, lower_bound
from codegen.target import target

STRATEGIES: tuple[Strategy, ...] = ("first_fit", "greedy_by_size", "auto")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="*", type=Path, help="ONNX files or folders of them")
    parser.add_argument("--sets", type=int, default=2000, help="random sets of live ranges")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", default="m4", choices=("m0plus", "m3", "m4", "m7", "m33"))
    arguments = parser.parse_args()
    files = [
        file
        for path in arguments.models
        for file in (sorted(path.glob("*.onnx")) if path.is_dir() else [path])
    ]
    if files:
        print(
            f"{'model':32} {'first fit':>10} {'greedy':>10} {'auto':>10} {'bound':>10} {'cpu s':>6}"
        )
    for file in files:
        models(file, arguments.core)
    return int(not random_sets(arguments.sets, arguments.seed))


def models(file: Path, core: str) -> None:
    """One line for one model."""
    chip = target(core)  # type: ignore[arg-type]
    try:
        plans = {s: compile_model(file, chip, strategy=s).plan for s in STRATEGIES}
    except CodegenError as error:
        print(f"{file.stem:32} {str(error).splitlines()[0]}")
        return
    before = time.process_time()
    compile_model(file, chip)
    seconds = time.process_time() - before
    sizes = " ".join(f"{plans[s].arena_bytes:10}" for s in STRATEGIES)
    print(f"{file.stem:32} {sizes} {plans['auto'].lower_bound_bytes:10} {seconds:6.2f}")


def random_buffers(dice: random.Random) -> list[Buffer]:
    """2 to 40 buffers, sizes and lifetimes of mixed kinds."""
    steps = dice.choice([8, 20, 60])
    made = []
    for i in range(dice.randint(2, 40)):
        first = dice.randint(0, steps)
        last = min(steps, first + dice.choice([1, 2, 3, dice.randint(1, steps)]))
        sizes = [dice.randint(1, 64) * 4, dice.randint(1, 4000), 2 ** dice.randint(0, 12)]
        made.append(Buffer(f"b{i}", dice.choice(sizes), first, last))
    return made


def random_sets(count: int, seed: int) -> bool:
    """A summary over random sets; whether the claims hold."""
    dice = random.Random(seed)
    sets = [random_buffers(dice) for _ in range(count)]
    print(f"\n{count} random sets of live ranges, seed {seed}")
    print(f"{'strategy':16} {'at bound':>9} {'proven':>8} {'worst gap':>10} {'cpu ms/set':>11}")
    greedy, best = [summary(strategy, sets) for strategy in STRATEGIES][-2:]
    held = claims(greedy, best)
    print("\n  two memories of    split  best use  worst gap  cpu ms/set")
    for percent in (100, 110, 125, 150):
        two_memories(percent, sets[: max(1, count // 10)], dice)
    return held


def two_memories(percent: int, sets: Sequence[Sequence[Buffer]], dice: random.Random) -> None:
    """A line: memories that are `percent` of the lower bound together, the first a part of it."""
    gaps: list[float] = []
    seconds = 0.0
    for buffers in sets:
        problem = Problem(tuple(buffers))
        together = lower_bound(problem) * percent // 100
        first = int(together * dice.choice((0.2, 0.35, 0.5)))
        uses = [dice.randint(1, 10) * b.size_bytes for b in buffers]
        before = time.process_time()
        found = split(problem, [Bank("first", first), Bank("second", together - first)], uses)
        seconds += time.process_time() - before
        if found is not None:
            gaps.append((found.bound - found.worth) / max(found.bound, 1))
    print(
        f"{percent:12d} % {100 * len(gaps) / len(sets):9.2f}% "
        f"{100 * sum(g == 0 for g in gaps) / max(len(gaps), 1):8.2f}% "
        f"{100 * max(gaps, default=0.0):9.2f}% {1000 * seconds / len(sets):11.2f}"
    )


def summary(strategy: Strategy, sets: Sequence[Sequence[Buffer]]) -> list[Packing]:
    before = time.process_time()
    packings = [plan(buffers, strategy=strategy) for buffers in sets]
    milliseconds = 1000 * (time.process_time() - before) / max(len(sets), 1)
    at_bound = sum(p.arena_bytes == p.lower_bound_bytes for p in packings)
    proven = sum(p.proven for p in packings)
    worst = max((p.gap for p in packings), default=0.0)
    share = 100 / max(len(sets), 1)
    print(
        f"{strategy:16} {at_bound * share:8.2f}% {proven * share:7.2f}% {100 * worst:9.2f}% "
        f"{milliseconds:11.2f}"
    )
    return packings


def claims(greedy: Sequence[Packing | MemoryPlan], best: Sequence[Packing | MemoryPlan]) -> bool:
    """Never above greedy, optimal nearly always, and else within 3 % of the lower bound."""
    above = sum(b.arena_bytes > g.arena_bytes for g, b in zip(greedy, best, strict=True))
    unproven = [b.gap for b in best if not b.proven]
    optimum = 100 * (1 - len(unproven) / max(len(best), 1))
    gap = 100 * max(unproven, default=0.0)
    print(
        f"above greedy by size: {above} of {len(best)}; optimum proven on {optimum:.2f} % "
        f"(at least 95), worst gap to the bound elsewhere {gap:.2f} % (at most 3)"
    )
    return not above and optimum >= 95 and gap <= 3


if __name__ == "__main__":
    sys.exit(main())
