# SPDX-License-Identifier: MIT
"""Work that cannot matter is not done: channels that are constant or never read leave the network.

Works on the lowered int8 dialect and changes no output bit. Three facts decide:

- *range*: an interval analysis gives each channel of each tensor the values it can take. One
  whose interval is a single value is constant: its filter is zero, or its clamp always binds.
- *class*: tensors joined by channel-wise operators (depthwise convolution, pooling, add, look-up,
  views that keep the last axis) keep or lose a channel together.
- *need*: a convolution or fully connected layer needs an input channel only when a filter that is
  itself needed has a non-zero weight there, and the channel is not a constant that its bias can
  absorb. Padding contributes zero, so behind padding only a constant equal to the zero point can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codegen.ir import Graph, Node, Tensor
from codegen.ops import (
    AvgPoolS8,
    BinaryS8,
    ConvS8,
    DenseS8,
    LutS8,
    MaxPool,
    Requant,
    View,
)

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Savings:
    """What `remove_dead_channels` took out: channels, multiply-accumulates and constant bytes."""

    channels: int = 0
    macs: int = 0
    weight_bytes: int = 0


def remove_dead_channels(graph: Graph) -> tuple[Graph, Savings]:
    """The same function of the same inputs with fewer channels, and what that saves."""
    ranges = _channel_ranges(graph)
    classes = _channel_classes(graph)
    needed = _needed_channels(graph, ranges, classes)
    keep = {t: needed[classes[t]] for t in classes}
    if all(mask.all() for mask in keep.values()):
        return graph, Savings()
    return _rebuild(graph, ranges, keep)


def _is_depthwise(node: Node, graph: Graph) -> bool:
    if not isinstance(node.op, ConvS8) or node.op.groups == 1:
        return False
    channels_in = graph.tensors[node.inputs[0]].shape[-1]
    return node.op.groups == channels_in == graph.tensors[node.outputs[0]].shape[-1]


def _mixes_channels(node: Node) -> bool:
    """Convolution with one group, or fully connected: an output may read any input channel."""
    return isinstance(node.op, DenseS8) or (isinstance(node.op, ConvS8) and node.op.groups == 1)


def _joined(node: Node, graph: Graph) -> tuple[str, ...]:
    """The activations whose channels this node maps one to one; empty when it does not."""
    x, y = node.inputs[0], node.outputs[0]
    if () in (graph.tensors[x].shape, graph.tensors[y].shape):
        return ()  # a scalar has no channels
    same_width = graph.tensors[x].shape[-1] == graph.tensors[y].shape[-1]
    if _is_depthwise(node, graph) or isinstance(node.op, MaxPool | LutS8):
        return (x, y)
    if isinstance(node.op, AvgPoolS8) and node.op.form != "packed":  # its sums count channels
        return (x, y)
    if isinstance(node.op, View) and same_width:
        return (x, y)
    if isinstance(node.op, BinaryS8):
        operands = (*node.inputs[:2], y)
        shapes = {graph.tensors[t].shape for t in operands}
        if len(shapes) == 1 and all(graph.tensors[t].data is None for t in operands):
            return operands
    return ()


def _activations(graph: Graph) -> list[str]:
    outputs = (t for n in graph.nodes for t in n.outputs)
    return [t for t in (*graph.inputs, *outputs) if graph.tensors[t].shape]


def _channel_classes(graph: Graph) -> dict[str, str]:
    """Each activation's class, named by one of its members."""
    parent = {t: t for t in _activations(graph)}

    def find(t: str) -> str:
        while parent[t] != t:
            parent[t] = parent[parent[t]]
            t = parent[t]
        return t

    for node in graph.nodes:
        members = _joined(node, graph)
        for t in members[1:]:
            parent[find(t)] = find(members[0])
    return {t: find(t) for t in parent}


def _full_range(tensor: Tensor) -> tuple[Ints, Ints]:
    channels = tensor.shape[-1] if tensor.shape else 1
    return np.full(channels, -128, np.int64), np.full(channels, 127, np.int64)


def _channel_ranges(graph: Graph) -> dict[str, tuple[Ints, Ints]]:
    """Least and greatest value of each channel of each int8 activation, over all inputs."""
    ranges = {t: _full_range(graph.tensors[t]) for t in _activations(graph)}
    for node in graph.nodes:
        x, y = node.inputs[0], node.outputs[0]
        if x not in ranges or y not in ranges:
            continue
        if isinstance(node.op, ConvS8 | DenseS8) and (
            _mixes_channels(node) or _is_depthwise(node, graph)
        ):
            ranges[y] = _requantized(*_accumulator_range(node, graph, ranges[x]), node.op.requant)
        elif _keeps_values(node, graph):
            ranges[y] = ranges[x]
        elif isinstance(node.op, LutS8):
            table = graph.tensors[node.inputs[1]].data
            assert table is not None
            bounds = [table[lo + 128 : hi + 129] for lo, hi in zip(*ranges[x], strict=True)]
            ranges[y] = (
                np.array([b.min() for b in bounds], np.int64),
                np.array([b.max() for b in bounds], np.int64),
            )
    return ranges


def _keeps_values(node: Node, graph: Graph) -> bool:
    """Whether each output channel takes only values between those of its input channel."""
    op = node.op
    if isinstance(op, AvgPoolS8):
        return _averages_in_place(op)
    return isinstance(op, MaxPool) or (isinstance(op, View) and bool(_joined(node, graph)))


def _averages_in_place(op: AvgPoolS8) -> bool:
    """Whether the mean of equal integers is that integer: same scale and zero point, no padding."""
    same = op.in_scale == op.out_scale and op.in_zp == op.out_zp
    return same and (op.lo, op.hi) == (-128, 127) and not any(op.window.pads)


def _constants(node: Node, graph: Graph) -> tuple[Ints, Ints]:
    """(weights minus zero points as [Co, taps, Ci per group], bias) of a node with weights."""
    assert isinstance(node.op, ConvS8 | DenseS8)
    weights = graph.tensors[node.inputs[1]].data
    assert weights is not None
    w = weights.astype(np.int64)
    if node.op.w_zp is not None:
        w = w - node.op.w_zp.astype(np.int64).reshape(-1, *[1] * (w.ndim - 1))
    bias = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    b = np.zeros(len(w), np.int64) if bias is None else bias.astype(np.int64)
    return w.reshape(len(w), -1, w.shape[-1]), b


def _accumulator_range(node: Node, graph: Graph, x_range: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    assert isinstance(node.op, ConvS8 | DenseS8)
    w, b = _constants(node, graph)
    zp = node.op.requant.in_zp
    lo, hi = x_range[0] - zp, x_range[1] - zp
    if isinstance(node.op, ConvS8) and any(node.op.window.pads):
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    if not _mixes_channels(node):
        lo, hi = lo[:, None, None], hi[:, None, None]
    least: Ints = b + np.minimum(w * lo, w * hi).sum(axis=(1, 2))
    greatest: Ints = b + np.maximum(w * lo, w * hi).sum(axis=(1, 2))
    return least, greatest


def _requantized(least: Ints, greatest: Ints, rq: Requant) -> tuple[Ints, Ints]:
    def output(acc: Ints) -> Ints:
        real = acc.astype(np.int32).astype(np.float32) * rq.multiplier
        rounded = np.rint(real.astype(np.float64)) + rq.out_zp
        return np.asarray(np.clip(rounded, rq.lo, rq.hi), np.int64)

    if np.abs(least).max(initial=0) > INT32_MAX or np.abs(greatest).max(initial=0) > INT32_MAX:
        return np.full(least.shape, rq.lo, np.int64), np.full(least.shape, rq.hi, np.int64)
    ends = output(least), output(greatest)
    return np.minimum(*ends), np.maximum(*ends)  # a multiplier may be negative


def _absorbable(node: Node, graph: Graph, x_range: tuple[Ints, Ints]) -> Mask:
    """Input channels whose constant value the node's bias can take over."""
    assert isinstance(node.op, ConvS8 | DenseS8)
    lo, hi = x_range
    constant: Mask = lo == hi
    if isinstance(node.op, ConvS8) and any(node.op.window.pads):
        return np.asarray(constant & (lo == node.op.requant.in_zp))
    w, b = _constants(node, graph)
    shift = np.abs(w).sum(axis=1) @ np.where(constant, np.abs(lo - node.op.requant.in_zp), 0)
    fits = bool((np.abs(b) + shift <= INT32_MAX).all())
    return constant if fits else np.asarray(constant & (lo == node.op.requant.in_zp))


def _needed_channels(
    graph: Graph, ranges: Mapping[str, tuple[Ints, Ints]], classes: Mapping[str, str]
) -> dict[str, Mask]:
    """The least fixed point: channels that some output bit depends on, per class."""
    needed = {c: np.zeros(graph.tensors[c].shape[-1], np.bool_) for c in set(classes.values())}
    reads: list[tuple[str, str, Mask]] = []
    for t in (*graph.inputs, *graph.outputs):
        if t in classes:
            needed[classes[t]][:] = True
    for node in graph.nodes:
        if _joined(node, graph):
            continue
        if not _mixes_channels(node):
            _need_all((*node.inputs, *node.outputs), classes, needed)
            continue
        x, y = node.inputs[0], node.outputs[0]
        w, _ = _constants(node, graph)
        matters = (w != 0).any(axis=1) & ~_absorbable(node, graph, ranges[x])[None, :]
        reads.append((classes[x], classes[y], matters))
    changed = True
    while changed:
        changed = False
        for source, sink, matters in reads:
            need = matters[needed[sink]].any(axis=0) & ~needed[source]
            if need.any():
                needed[source] |= need
                changed = True
    for mask in needed.values():
        if not mask.any():
            mask[0] = True  # a tensor keeps at least one channel
    return needed


def _need_all(tensors: Iterable[str], classes: Mapping[str, str], needed: dict[str, Mask]) -> None:
    for t in tensors:
        if t in classes:
            needed[classes[t]][:] = True


def _macs(node: Node, graph: Graph) -> int:
    y = graph.tensors[node.outputs[0]].shape
    weights = graph.tensors[node.inputs[1]].shape
    return int(np.prod(y) * np.prod(weights[1:]))


def _rebuild(
    graph: Graph, ranges: Mapping[str, tuple[Ints, Ints]], keep: Mapping[str, Mask]
) -> tuple[Graph, Savings]:
    tensors = dict(graph.tensors)
    for t, mask in keep.items():
        shape = (*tensors[t].shape[:-1], int(mask.sum()))
        tensors[t] = replace(tensors[t], shape=shape)
    nodes: list[Node] = []
    uses: dict[str, int] = defaultdict(int)
    for node in graph.nodes:
        for t in node.inputs:
            uses[t] += 1
    macs = weight_bytes = 0
    for node in graph.nodes:
        if not isinstance(node.op, ConvS8 | DenseS8) or not (
            _mixes_channels(node) or _is_depthwise(node, graph)
        ):
            nodes.append(node)
            continue
        slim, added = _slim(node, graph, ranges, keep)
        tensors.update(added)
        nodes.append(slim)
        after = Graph(graph.name, tensors, (slim,), (), ())
        macs += _macs(node, graph) - _macs(slim, after)
        weight_bytes += sum(graph.tensors[t].size_bytes for t in node.inputs[1:] if t)
        weight_bytes -= sum(t.size_bytes for t in added.values())
    used = {t for n in nodes for t in (*n.inputs, *n.outputs)} | set(graph.inputs)
    tensors = {name: t for name, t in tensors.items() if name in used}
    channels = sum(int((~keep[t]).sum()) for n in nodes for t in n.outputs if t in keep)
    result = replace(graph, tensors=tensors, nodes=tuple(nodes))
    return result, Savings(channels, macs, weight_bytes)


def _slim(
    node: Node,
    graph: Graph,
    ranges: Mapping[str, tuple[Ints, Ints]],
    keep: Mapping[str, Mask],
) -> tuple[Node, dict[str, Tensor]]:
    """The node with the kept filters and taps only, and its new constants."""
    op = node.op
    assert isinstance(op, ConvS8 | DenseS8)
    x, y = node.inputs[0], node.outputs[0]
    rows, columns = keep[y], keep[x]
    weights = graph.tensors[node.inputs[1]]
    assert weights.data is not None
    w, b = _constants(node, graph)
    data = weights.data[rows]
    if _mixes_channels(node):
        gone = ~columns & _absorbable(node, graph, ranges[x])
        b = b + w.sum(axis=1) @ np.where(gone, ranges[x][0] - op.requant.in_zp, 0)
        data = data[..., columns]
    multiplier = op.requant.multiplier
    requant = replace(
        op.requant, multiplier=multiplier if multiplier.size == 1 else multiplier[rows]
    )
    w_zp = None if op.w_zp is None else op.w_zp[rows]
    if isinstance(op, ConvS8):
        groups = op.groups if op.groups == 1 else int(rows.sum())
        slim_op: ConvS8 | DenseS8 = replace(op, requant=requant, w_zp=w_zp, groups=groups)
    else:
        slim_op = replace(op, requant=requant, w_zp=w_zp)
    names = (f"{node.name}/live weights", f"{node.name}/live bias")
    added = {
        names[0]: Tensor(names[0], data.shape, weights.dtype, np.ascontiguousarray(data)),
        names[1]: Tensor(names[1], (int(rows.sum()),), "int32", b[rows].astype(np.int32)),
    }
    return replace(node, op=slim_op, inputs=(x, *names)), added
