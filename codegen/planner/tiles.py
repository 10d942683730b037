# SPDX-License-Identifier: MIT
"""Patch-wise inference as a graph transformation: the early layers run tile by tile.

Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning" (2021),
section 3.1. The tiles of one tensor are computed one after the other from the parts of the graph's
inputs that they see; what neighbours share (the halo) is computed twice. Tiles are joined again by
`Concat`; with one column of tiles both cuts and joins are views and cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

from codegen.ir import Graph, Node, Tensor
from codegen.kernels import cost
from codegen.ops import (
    BinaryF32,
    BinaryS8,
    Concat,
    ConvAddS8,
    ConvF32,
    ConvS8,
    Copy,
    Dequantize,
    FlipSign,
    LutS8,
    MaxPool,
    PReluS8,
    Quantize,
    Slice,
    Transpose,
    UnaryF32,
    View,
    Window,
)
from codegen.planner.needs import activation_inputs

_TO_NHWC = (0, 2, 3, 1)
_Windowed = TypeVar("_Windowed", bound=ConvS8 | ConvF32 | MaxPool)

Span = tuple[int, int]
"""First index and end, of rows or columns."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a tensor's rows and columns."""

    rows: Span
    cols: Span

    def join(self, other: Region | None) -> Region:
        """The smallest rectangle around both."""
        if other is None:
            return self
        return Region(_hull(self.rows, other.rows), _hull(self.cols, other.cols))


@dataclass(frozen=True, slots=True)
class Need:
    """The region that a node reads of its inputs, and the padding that remains at its border.

    What a convolution adds to its output (`beside`) is read where that is written.
    """

    region: Region
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    beside: Region | None = None

    def regions(self, node: Node, graph: Graph) -> tuple[tuple[str, Region], ...]:
        """What is read of each activation input."""
        names = activation_inputs(node, graph)
        if self.beside is None:
            return tuple((name, self.region) for name in names)
        return (names[0], self.region), (names[1], self.beside)


def with_image_transposes(graph: Graph) -> Graph:
    """The graph with each NCHW input turned to NHWC by one `Transpose`, which knows its rows.

    Lowering writes the same as a view, a transposition of a matrix, and a view.
    """
    producer = {node.outputs[0]: node for node in graph.nodes}
    uses = Counter(x for node in graph.nodes for x in node.inputs)
    uses.update(graph.outputs)
    nodes = {id(node): node for node in graph.nodes}
    for node in graph.nodes:
        middle = producer.get(node.inputs[0]) if isinstance(node.op, View) else None
        first = producer.get(middle.inputs[0]) if middle is not None else None
        if middle is None or first is None or not isinstance(first.op, View):
            continue
        x, y = graph.tensors[first.inputs[0]], graph.tensors[node.outputs[0]]
        if (
            isinstance(middle.op, Transpose)
            and tuple(middle.op.perm) == (1, 0)
            and uses[first.outputs[0]] == uses[middle.outputs[0]] == 1
            and len(x.shape) == len(y.shape) == 4
            and x.shape[0] == 1
            and tuple(x.shape[axis] for axis in _TO_NHWC) == y.shape
            and graph.tensors[first.outputs[0]].shape[0] == x.shape[1]
        ):
            whole = replace(middle, op=Transpose(_TO_NHWC), inputs=(x.name,), outputs=(y.name,))
            nodes[id(node)] = whole
            del nodes[id(middle)], nodes[id(first)]
    return replace(graph, nodes=tuple(nodes.values()))


def stage(graph: Graph, at: str) -> tuple[int, ...] | None:
    """The nodes that compute `at` and can run tile by tile; None when that cannot be.

    They look at windows or at single pixels of one image, and all that they compute is for `at`
    alone. What comes before them is there as a whole.
    """
    producer = {y: i for i, node in enumerate(graph.nodes) for y in node.outputs}
    found: set[int] = set()
    pending = [at]
    while pending:
        name = pending.pop()
        index = producer.get(name)
        if index is None or index in found:
            continue
        if not _can_tile(graph.nodes[index], graph):
            continue
        found.add(index)
        pending += activation_inputs(graph.nodes[index], graph)
    inside = {y for i in found for y in graph.nodes[i].outputs} - {at}
    outside = (n for i, n in enumerate(graph.nodes) if i not in found)
    if not found or inside & {x for node in outside for x in node.inputs}:
        return None
    return None if inside & set(graph.outputs) else tuple(sorted(found))


def tiled(graph: Graph, at: str, rows: int, cols: int) -> Graph | None:
    """`graph` with `at` computed in `rows` x `cols` tiles; None when it cannot be."""
    nodes = stage(graph, at)
    _, height, width, _ = graph.tensors[at].shape
    if nodes is None or rows > height or cols > width:
        return None
    builder = _Builder(graph, nodes, dict(graph.tensors))
    bands = []
    for r, row_span in enumerate(_split(height, rows)):
        parts = []
        for c, col_span in enumerate(_split(width, cols)):
            mark = f" [tile {r * cols + c}]"
            part = builder.tile(at, Region(row_span, col_span), mark)
            if part is None:
                return None
            parts.append(part)
        bands.append(builder.join(parts, 2, at, f" [band {r}]"))
    builder.join(bands, 1, at, "")
    rest = [(i, node) for i, node in enumerate(graph.nodes) if i not in set(nodes)]
    before = (node for i, node in rest if i < nodes[-1])
    after = (node for i, node in rest if i > nodes[-1])
    return replace(graph, tensors=builder.tensors, nodes=(*before, *builder.nodes, *after))


def macs(graph: Graph) -> int:
    """Multiplications of all layers; padding counts, as everywhere in this field."""
    return sum(cost.macs(node, graph) for node in graph.nodes)


class _Builder:
    """Collects the nodes and tensors of the tiles."""

    def __init__(self, graph: Graph, stage: Sequence[int], tensors: dict[str, Tensor]) -> None:
        self.graph = graph
        self.stage = stage
        self.tensors = tensors
        self.nodes: list[Node] = []

    def tile(self, at: str, region: Region, mark: str) -> str | None:
        """Compute `region` of `at`; the tensor that holds it, None where that is not possible."""
        wanted: dict[str, Region] = {at: region}
        reads: dict[int, Need] = {}
        for index in reversed(self.stage):
            node = self.graph.nodes[index]
            need = _need(node, self.graph, wanted.get(node.outputs[0]))
            if need is None:
                return None
            reads[index] = need
            for x, region in need.regions(node, self.graph):
                wanted[x] = region.join(wanted.get(x))
        made: dict[str, str] = {}
        for index in self.stage:
            node = self.graph.nodes[index]
            parts = {
                x: self._part(x, region, wanted[x], made.get(x, x), mark, node)
                for x, region in reads[index].regions(node, self.graph)
            }
            inputs = tuple(parts.get(x, x) for x in node.inputs)
            y = node.outputs[0]
            made[y] = self._tensor(y, wanted[y], mark)
            op = node.op
            if isinstance(op, ConvAddS8):
                op = replace(op, conv=_padded(op.conv, reads[index]))
            elif isinstance(op, ConvS8 | ConvF32 | MaxPool):
                op = _padded(op, reads[index])
            name = node.name + mark
            self.nodes.append(replace(node, name=name, op=op, inputs=inputs, outputs=(made[y],)))
        return made[at]

    def join(self, parts: Sequence[str], axis: int, at: str, mark: str) -> str:
        """Put tiles side by side; a single one is itself, unless it must bear the name `at`."""
        if len(parts) == 1 and mark:
            return parts[0]
        shape = list(self.tensors[parts[0]].shape)
        shape[axis] = sum(self.tensors[part].shape[axis] for part in parts)
        y = self._fresh(at, tuple(shape), mark) if mark else at
        self.nodes.append(Node(f"{at}{mark or ' [tiles]'}", Concat(axis), tuple(parts), (y,)))
        return y

    def _part(self, x: str, need: Region, held: Region, tensor: str, mark: str, node: Node) -> str:
        """The tensor with `need` of x, of which `tensor` holds `held` (all of a graph input)."""
        row_axis, col_axis = (2, 3) if isinstance(node.op, Transpose) else (1, 2)
        shape = self.tensors[tensor].shape
        first_row, first_col = (0, 0) if tensor == x else (held.rows[0], held.cols[0])
        starts, extent = [0] * len(shape), list(shape)
        starts[row_axis], extent[row_axis] = need.rows[0] - first_row, _length(need.rows)
        starts[col_axis], extent[col_axis] = need.cols[0] - first_col, _length(need.cols)
        if tuple(extent) == shape:
            return tensor
        part = self._fresh(x, tuple(extent), f"{mark} for {node.name}")
        op = Slice(tuple(starts), (1,) * len(shape))
        self.nodes.append(Node(part, op, (tensor,), (part,), node.origin))
        return part

    def _tensor(self, name: str, region: Region, mark: str) -> str:
        batch, _, _, channels = self.graph.tensors[name].shape
        return self._fresh(
            name, (batch, _length(region.rows), _length(region.cols), channels), mark
        )

    def _fresh(self, name: str, shape: tuple[int, ...], mark: str) -> str:
        fresh = name + mark
        while fresh in self.tensors:
            fresh += "'"
        self.tensors[fresh] = replace(self.graph.tensors[name], name=fresh, shape=shape)
        return fresh


def _can_tile(node: Node, graph: Graph) -> bool:
    """Whether a rectangle of the output depends on a rectangle of the input alone."""
    y = graph.tensors[node.outputs[0]].shape
    if len(y) != 4 or y[0] != 1 or len(node.outputs) != 1:
        return False
    match node.op:
        case Transpose(perm=perm):
            return tuple(perm) == _TO_NHWC and node.inputs[0] in graph.inputs
        case ConvS8() | ConvF32() | ConvAddS8() | MaxPool():
            return True
        case LutS8() | UnaryF32() | FlipSign() | Quantize() | Dequantize() | Copy():
            return True
        case BinaryS8() | BinaryF32() | PReluS8():
            return all(_pixelwise(graph.tensors[x], y) for x in node.inputs)
    return False


def _pixelwise(x: Tensor, y: tuple[int, ...]) -> bool:
    """Whether a binary operator reads x at the same pixel, or the same values at every pixel."""
    return x.shape == y if x.data is None else prod(x.shape[:-1]) == 1


def _need(node: Node, graph: Graph, out: Region | None) -> Need | None:
    """What the node reads to compute `out`; None for nothing but padding."""
    if out is None:
        return None
    op = node.op.conv if isinstance(node.op, ConvAddS8) else node.op
    if not isinstance(op, ConvS8 | ConvF32 | MaxPool):
        return Need(out)
    _, height, width, _ = graph.tensors[node.inputs[0]].shape
    window = op.window
    rows, top, bottom = _window_span(out.rows, height, window, 0)
    cols, left, right = _window_span(out.cols, width, window, 1)
    if _length(rows) < 1 or _length(cols) < 1:
        return None
    beside = out if isinstance(node.op, ConvAddS8) else None
    return Need(Region(rows, cols), (top, left, bottom, right), beside)


def _padded(op: _Windowed, need: Need) -> _Windowed:
    """The operator on a part of its input."""
    return replace(op, window=replace(op.window, pads=need.pads))


def _window_span(out: Span, size: int, window: Window, axis: int) -> tuple[Span, int, int]:
    """The input span under an output span along one axis, and the padding before and after it."""
    stride = window.strides[axis]
    reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1
    first = out[0] * stride - window.pads[axis]
    end = (out[1] - 1) * stride - window.pads[axis] + reach
    span = max(first, 0), min(end, size)
    return span, span[0] - first, end - span[1]


def _split(size: int, parts: int) -> Iterator[Span]:
    """Spans as equal as can be."""
    for part in range(parts):
        yield part * size // parts, (part + 1) * size // parts


def _hull(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def _length(span: Span) -> int:
    return span[1] - span[0]
