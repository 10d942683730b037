# SPDX-License-Identifier: MIT
"""The workbench of a pass: read one graph, write the next.

A pass walks the nodes of its input in order and, for each, either `keep`s it or `emit`s others.
Tensors that nothing needs any more disappear with the nodes that made them when the pass is `done`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from codegen.errors import Problem, RefusedError
from codegen.ir import ITEM_BYTES, Array, DType, Graph, Node, OnnxOp, Quant, Tensor
from codegen.ops import Op


class Edit:
    """A graph being rewritten, for the time of one pass."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: dict[str, Tensor] = dict(graph.tensors)
        self.nodes: list[Node] = []
        self.outputs: list[str] = list(graph.outputs)
        self.problems: list[Problem] = []
        self._maker: dict[str, Node] = {}
        self._alias: dict[str, str] = {}
        self._uses = Counter(name for node in graph.nodes for name in node.inputs)
        self._uses.update(graph.outputs)

    def name(self, name: str) -> str:
        """What a tensor of the input graph is called now."""
        while name in self._alias:
            name = self._alias[name]
        return name

    def tensor(self, name: str) -> Tensor:
        return self.tensors[self.name(name)]

    def constant(self, name: str) -> Array | None:
        """The value of a constant, or None for an activation or an absent input."""
        return self.tensor(name).data if name else None

    def maker(self, name: str) -> Node | None:
        """The node written so far that makes a tensor."""
        return self._maker.get(self.name(name))

    def only_use(self, name: str) -> bool:
        """Whether the input graph reads a tensor exactly once and it is no graph output."""
        return self._uses[name] == 1 and name not in self.graph.outputs

    def keep(self, node: Node) -> Node:
        """Write a node as it is."""
        return self._append(replace(node, inputs=tuple(map(self.name, node.inputs))))

    def emit(
        self,
        op: Op | OnnxOp,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *origins: Node,
        name: str = "",
    ) -> Node:
        """Write a node named `name`, or after the first of `origins`, or after its output."""
        origin = tuple(dict.fromkeys(label for node in origins for label in node.origin))
        inputs = tuple(map(self.name, inputs))
        name = name or (origins[0].name if origins else outputs[0])
        return self._append(Node(name, op, inputs, tuple(outputs), origin))

    def _append(self, node: Node) -> Node:
        self.nodes.append(node)
        for output in node.outputs:
            self._maker[output] = node
        return node

    def swap(self, old: Node, new: Node) -> None:
        """Rewrite a node that is already written; its outputs stay the same."""
        self.nodes[self.nodes.index(old)] = new
        for output in new.outputs:
            self._maker[output] = new

    def replace(self, old: str, new: str) -> None:
        """From here on, `new` stands for `old`, which nothing makes any more."""
        new = self.name(new)
        if old in self._alias or old == new:
            raise ValueError(f"tensor {old!r} is replaced twice or by itself")
        self._alias[old] = new

    def activation(
        self, hint: str, shape: Sequence[int], dtype: DType, quant: Quant | None = None
    ) -> str:
        """Declare a new activation and return its name."""
        return self._declare(Tensor(self._fresh(hint), tuple(shape), dtype, None, quant))

    def new_constant(self, hint: str, data: Array, quant: Quant | None = None) -> str:
        """Declare a new constant and return its name."""
        names: Mapping[str, DType] = {d: d for d in ITEM_BYTES}
        data = np.ascontiguousarray(data).reshape(data.shape)
        tensor = Tensor(self._fresh(hint), data.shape, names[str(data.dtype)], data, quant)
        return self._declare(tensor)

    def _declare(self, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        return tensor.name

    def _fresh(self, hint: str) -> str:
        name, number = hint, 1
        while name in self.tensors:
            name, number = f"{hint}.{number}", number + 1
        return name

    def refuse(self, node: Node, what: str, remedy: str = "") -> None:
        """Keep a node that is not supported; `done` raises all of them at once."""
        kind = node.op.type if isinstance(node.op, OnnxOp) else type(node.op).__name__
        self.problems.append(Problem(what, f"node {node.name!r} ({kind})", remedy))
        self.keep(node)

    def done(self) -> Graph:
        """The graph written, less what no output needs. Raises RefusedError after a `refuse`."""
        for output in self.graph.outputs:
            if output in self._alias:
                self._restore_output(output)
        needed = set(self.outputs)
        nodes: list[Node] = []
        for node in reversed(self.nodes):
            if any(output in needed for output in node.outputs):
                nodes.append(node)
                needed.update(node.inputs)
        needed.update(self.graph.inputs)
        tensors = {name: tensor for name, tensor in self.tensors.items() if name in needed}
        for node in nodes:
            tensors.update({name: self.tensors[name] for name in node.outputs if name})
        graph = replace(self.graph, tensors=tensors, nodes=tuple(reversed(nodes)))
        if self.problems:
            raise RefusedError(graph, *self.problems)
        return graph

    def _restore_output(self, output: str) -> None:
        """A graph output keeps its name: write it by a copy that `codegen.passes.finish` tidies."""
        from codegen.ops import View

        source = self.name(output)
        del self._alias[output]
        self.emit(View(), [source], [output])
