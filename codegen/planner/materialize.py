# SPDX-License-Identifier: MIT
"""Give each graph output bytes of its own: a copy where a view would tie two callers' buffers."""

from __future__ import annotations

from dataclasses import replace

from codegen.ir import Graph, Node, Tensor
from codegen.ops import Copy, View


def materialize(graph: Graph) -> Graph:
    """The graph with a `Copy` wherever an output would be an input, a constant, or another output.

    Afterwards every `View` can be resolved without code: at most one graph output looks at any
    storage, and then no graph input does.
    """
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    owner: dict[str, str] = {name: name for name in graph.inputs}
    taken = {*graph.inputs, *(name for name, t in tensors.items() if t.data is not None)}
    outputs = list(graph.outputs)
    wanted = set(outputs)
    viewed_outputs: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, View):
            x, y = node.inputs[0], node.outputs[0]
            root = owner.get(x, x)
            tied = root in taken or root in wanted or root in viewed_outputs
            if tensors[root].data is not None or (y in wanted and tied):
                node = replace(node, op=Copy())
            else:
                owner[y] = root
                if y in wanted:
                    viewed_outputs.add(root)
        nodes.append(node)
    seen: set[str] = set()
    for position, name in enumerate(outputs):
        if name in taken or name in seen:
            copy = _fresh(f"{name} (output {position})", tensors)
            tensors[copy] = Tensor(
                copy, tensors[name].shape, tensors[name].dtype, None, tensors[name].quant
            )
            nodes.append(Node(copy, Copy(), (name,), (copy,), (name,)))
            outputs[position] = copy
        seen.add(name)
    return Graph(graph.name, tensors, tuple(nodes), graph.inputs, tuple(outputs))


def _fresh(name: str, tensors: dict[str, Tensor]) -> str:
    while name in tensors:
        name += "'"
    return name
