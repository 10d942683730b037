# SPDX-License-Identifier: MIT
"""Last touches: outputs made in place, copies for wrong aliases, names and constants once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from codegen.errors import Problem, RefusedError
from codegen.ir import Graph, Node, OnnxOp, Tensor
from codegen.ops import ArgMax, BinaryF32, BinaryS8, Copy, FlipSign, PReluS8, Transpose, View


def name_outputs(graph: Graph) -> Graph:
    """Where a graph output is just another name of some result, its operator makes it directly."""
    views = {node.outputs[0]: node for node in graph.nodes if isinstance(node.op, View)}
    makers = {name: node for node in graph.nodes for name in node.outputs}
    rename: dict[str, str] = {}
    for output in graph.outputs:
        node = views.get(output)
        if node is None:
            continue
        source = node.inputs[0]
        same = graph.tensors[source].shape == graph.tensors[output].shape
        if same and source in makers and source not in graph.outputs and source not in rename:
            rename[source] = output
    nodes = [
        replace(node, inputs=_renamed(node.inputs, rename), outputs=_renamed(node.outputs, rename))
        for node in graph.nodes
        if not (node.outputs[0] in rename.values() and node.inputs[0] in rename)
    ]
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in rename}
    return replace(graph, tensors=tensors, nodes=tuple(nodes))


def _renamed(names: Iterable[str], rename: dict[str, str]) -> tuple[str, ...]:
    return tuple(rename.get(name, name) for name in names)


def copy_outputs(graph: Graph) -> Graph:
    """A graph output that would alias an input, a constant or another output becomes a Copy."""
    root = {name: name for name in graph.tensors}
    taken = {*graph.inputs, *(n for n, tensor in graph.tensors.items() if tensor.data is not None)}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node.op, View):
            output, base = node.outputs[0], root[node.inputs[0]]
            if output in graph.outputs and base in taken:
                node = replace(node, op=Copy())
            else:
                root[output] = base
        if any(name in graph.outputs for name in node.outputs):
            taken.update(root[name] for name in node.outputs)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def share_constants(graph: Graph) -> Graph:
    """Constants with the same bytes, type and shape become one."""
    kept: dict[tuple[object, ...], str] = {}
    rename: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in graph.tensors.items():
        if tensor.data is not None:
            key = tensor.dtype, tensor.shape, tensor.data.tobytes()
            first = kept.setdefault(key, name)
            if first != name:
                rename[name] = first
                continue
        tensors[name] = tensor
    nodes = tuple(replace(node, inputs=_renamed(node.inputs, rename)) for node in graph.nodes)
    return replace(graph, tensors=tensors, nodes=nodes)


def unique_names(graph: Graph) -> Graph:
    """Node names made unique by numbering repetitions."""
    taken: set[str] = set()
    nodes = []
    for node in graph.nodes:
        name, number = node.name, 1
        while name in taken:
            name, number = f"{node.name}.{number}", number + 1
        taken.add(name)
        nodes.append(replace(node, name=name))
    return replace(graph, nodes=tuple(nodes))


def refuse_leftovers(graph: Graph) -> Graph:
    """Raise RefusedError, naming all nodes that no kernel could run; else return `graph`."""
    problems = []
    places: set[str] = set()  # what ArgMax makes may be looked at and given out, no more
    for node in graph.nodes:
        op = node.op
        if isinstance(op, ArgMax) or (isinstance(op, View | Copy) and node.inputs[0] in places):
            places.update(node.outputs)
        kind = op.type if isinstance(op, OnnxOp) else type(op).__name__
        where = f"node {node.name!r} ({kind})"
        if isinstance(op, OnnxOp):
            problems.append(Problem(f"cannot be lowered (opset {op.opset})", where))
            continue
        shape = graph.tensors[node.outputs[0]].shape
        if isinstance(op, BinaryS8 | BinaryF32 | PReluS8) and len(shape) > 4:
            problems.append(Problem(f"broadcasting over {len(shape)} axes is not supported", where))
        if isinstance(op, Transpose) and len(op.perm) > 6:
            problems.append(
                Problem(f"a transpose over {len(op.perm)} axes is not supported", where)
            )
        for name in (*node.inputs, *node.outputs):
            tensor = graph.tensors.get(name)
            if tensor is None or tensor.data is not None or isinstance(op, FlipSign):
                continue
            if tensor.dtype not in ("int8", "float32") and name not in places:
                problems.append(
                    Problem(f"values of type {tensor.dtype} cannot be computed at run time", where)
                )
                break
    if problems:
        raise RefusedError(graph, *problems)
    return graph
