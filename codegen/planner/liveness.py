# SPDX-License-Identifier: MIT
"""From a graph in execution order to the planner's problem: what lives when, what may overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codegen.ir import Graph, Node
from codegen.kernels.base import Overlap
from codegen.planner.buffers import Buffer, Overlay, Problem
from codegen.planner.needs import Need, activation_inputs
from codegen.planner.storage import ALIGN, Piece, Storages

SCRATCH_ALIGN = 8


@dataclass(slots=True)
class _Block:
    """A run of bytes in the arena while the problem is being put together."""

    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Liveness:
    """The problem, and how its buffers serve the graph.

    `places`: of each activation, the index of its buffer (None: a caller's pointer) and the offset
    in it. `steps`: of each node, its step, None when it needs no code. `lives`: (first, last) of
    each activation. `in_place`: of a tensor made on another's bytes, that other. `scratch`: buffer
    index of each node's. `overlaid`: the output and the input tensor of each overlay.
    """

    problem: Problem
    places: Mapping[str, tuple[int | None, int]]
    steps: tuple[int | None, ...]
    lives: Mapping[str, tuple[int, int]]
    in_place: Mapping[str, str]
    scratch: Mapping[int, int]
    overlaid: tuple[tuple[str, str], ...] = ()


def liveness(
    graph: Graph, needs: Sequence[Need], storages: Storages, *, join: bool = True
) -> Liveness:
    """The buffers of `graph`, scratch included; callers' memory is not planned.

    With `join`, an operator that works in place on an input of the same size that dies there shares
    its buffer for good; all other declared overlaps, or all of them, become overlays.
    """
    steps = _steps(graph, storages)
    lives = _lives(graph, storages, steps)
    state = _Merge(graph, storages, _blocks(graph, storages, lives), join)
    for node, need, step in zip(graph.nodes, needs, steps, strict=True):
        if step is not None:
            state.visit(node, step, need.overlaps)
    scratch = {
        index: need.scratch_bytes
        for index, need in enumerate(needs)
        if need.scratch_bytes and steps[index] is not None
    }
    return _problem(graph, state, steps, lives, scratch)


def _steps(graph: Graph, storages: Storages) -> tuple[int | None, ...]:
    steps: list[int | None] = []
    count = 0
    for index in range(len(graph.nodes)):
        steps.append(None if index in storages.elided else count)
        count += index not in storages.elided
    return tuple(steps)


def _lives(
    graph: Graph, storages: Storages, steps: Sequence[int | None]
) -> dict[str, tuple[int, int]]:
    """First and last step of each activation; one that is looked at lives as long as the view."""
    final = max((s for s in steps if s is not None), default=0)
    first = dict.fromkeys(graph.inputs, 0)
    for node, step in zip(graph.nodes, steps, strict=True):
        born = max((first[x] for x in activation_inputs(node, graph)), default=0)
        first |= dict.fromkeys(node.outputs, born if step is None else step)
    last = dict(first) | dict.fromkeys(graph.outputs, final)
    for node, step in zip(reversed(graph.nodes), reversed(steps), strict=True):
        read = max(last[y] for y in node.outputs) if step is None else step
        for x in activation_inputs(node, graph):
            last[x] = max(last[x], read)
    return {name: (first[name], last[name]) for name in first}


def _blocks(
    graph: Graph, storages: Storages, lives: Mapping[str, tuple[int, int]]
) -> dict[str, _Block]:
    blocks: dict[str, _Block] = {}
    for name, piece in storages.pieces.items():
        if storages.owners[piece.root] != "arena":
            continue
        first, last = lives[name]
        block = blocks.setdefault(
            piece.root, _Block(graph.tensors[piece.root].size_bytes, first, last)
        )
        block.first, block.last = min(block.first, first), max(block.last, last)
    return blocks


@dataclass(slots=True)
class _Merge:
    """Joins blocks of operators that work in place; remembers the other overlaps."""

    graph: Graph
    storages: Storages
    blocks: dict[str, _Block]
    join: bool
    moved: dict[str, Piece] = field(default_factory=dict)
    in_place: dict[str, str] = field(default_factory=dict)
    pending: list[tuple[str, str, int, Overlap]] = field(default_factory=list)

    def piece(self, name: str) -> Piece:
        """The block of a tensor and its offset there, after all joins so far."""
        piece = self.storages.pieces[name]
        while target := self.moved.get(piece.root):
            piece = Piece(target.root, target.offset + piece.offset)
        return piece

    def visit(self, node: Node, step: int, overlaps: Sequence[Overlap]) -> None:
        """Use the overlaps that the variant of `node` declares, where lifetimes allow."""
        inputs = activation_inputs(node, self.graph)
        for overlap in overlaps:
            x, y = inputs[overlap.input], node.outputs[overlap.output]
            if y in self.in_place or not self._dies(x, y, step, inputs, node, overlaps):
                continue
            if self.join and overlap.exact and self._join(x, y):
                self.in_place[y] = x
            else:
                self.pending.append((x, y, step, overlap))

    def _dies(
        self,
        x: str,
        y: str,
        step: int,
        inputs: Sequence[str],
        node: Node,
        overlaps: Sequence[Overlap],
    ) -> bool:
        """Whether nothing needs x's block from `step` on, other than as this overlap allows."""
        root, target = self.piece(x).root, self.piece(y).root
        if root not in self.blocks or target not in self.blocks or root == target:
            return False
        allowed = {o.input for o in overlaps if node.outputs[o.output] == y}
        return self.blocks[root].last == step and all(
            self.piece(other).root != root or (self.piece(other) == self.piece(x) and i in allowed)
            for i, other in enumerate(inputs)
        )

    def _join(self, x: str, y: str) -> bool:
        """Put y on x's bytes for good, if both blocks allow."""
        source, target = self.piece(x), self.piece(y)
        old, new = self.blocks[source.root], self.blocks[target.root]
        size_bytes = self.graph.tensors[y].size_bytes
        fits = source.offset == 0 and old.size_bytes == size_bytes
        if not fits or (new.size_bytes != size_bytes and new.first > old.first):
            return False
        self.moved[source.root] = Piece(target.root, target.offset)
        del self.blocks[source.root]
        new.first, new.last = min(old.first, new.first), max(old.last, new.last)
        return True


def _problem(
    graph: Graph,
    state: _Merge,
    steps: tuple[int | None, ...],
    lives: Mapping[str, tuple[int, int]],
    scratch: Mapping[int, int],
) -> Liveness:
    buffers: list[Buffer] = []
    index_of: dict[str, int] = {}
    for root, block in sorted(state.blocks.items(), key=lambda item: (item[1].first, item[1].last)):
        index_of[root] = len(buffers)
        buffers.append(Buffer(root, block.size_bytes, block.first, block.last, ALIGN))
    scratch_of: dict[int, int] = {}
    for node_index, size_bytes in scratch.items():
        step = steps[node_index]
        assert step is not None
        scratch_of[node_index] = len(buffers)
        name = f"scratch of {graph.nodes[node_index].name}"
        buffers.append(Buffer(name, size_bytes, step, step, SCRATCH_ALIGN))
    places: dict[str, tuple[int | None, int]] = {}
    for name in state.storages.pieces:
        piece = state.piece(name)
        places[name] = index_of.get(piece.root), piece.offset
    pairs = _overlays(state, buffers, places)
    overlays = tuple(overlay for overlay, _ in pairs)
    return Liveness(
        Problem(tuple(buffers), overlays),
        places,
        steps,
        lives,
        state.in_place,
        scratch_of,
        tuple(tensors for _, tensors in pairs),
    )


def _overlays(
    state: _Merge, buffers: Sequence[Buffer], places: Mapping[str, tuple[int | None, int]]
) -> tuple[tuple[Overlay, tuple[str, str]], ...]:
    """The pending overlaps that still hold after all joins, one per pair of buffers, with the
    output and the input tensor."""
    found: dict[tuple[int, int], Overlay] = {}
    tensors: dict[tuple[int, int], tuple[str, str]] = {}
    for x, y, step, overlap in state.pending:
        (into, x_offset), (out, y_offset) = places[x], places[y]
        if into is None or out is None or into == out or y in state.in_place:
            continue
        if buffers[into].last != step or buffers[out].first != step:
            continue
        lead_bytes = overlap.lead_bytes + y_offset - x_offset
        if overlap.exact and lead_bytes:
            continue
        tensors[out, into] = y, x
        known = found.get((out, into))
        if known is None:
            found[out, into] = Overlay(out, into, lead_bytes, overlap.exact)
        elif not known.exact and not overlap.exact:
            found[out, into] = Overlay(out, into, max(lead_bytes, known.lead_bytes), False)
        elif known.exact != overlap.exact:
            # In place also satisfies a lead of zero or less.
            lead = lead_bytes if known.exact else known.lead_bytes
            if lead <= 0:
                found[out, into] = Overlay(out, into, 0, True)
            else:
                del found[out, into]
    return tuple((overlay, tensors[pair]) for pair, overlay in found.items())
