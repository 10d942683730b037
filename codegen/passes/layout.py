# SPDX-License-Identifier: MIT
"""Cancel transposes and reshapes by computing everything in the order in which it already lies.

Each tensor is known as a base buffer and a `Layout` over it. Views and Transposes only change the
layout; operators that do not care about order run on the base; those that do make the order real
first, once. A fully connected layer behind a permuting flatten takes its weights permuted instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from codegen.ir import Graph, Node
from codegen.ops import (
    BinaryF32,
    BinaryS8,
    Concat,
    DenseF32,
    DenseS8,
    Dequantize,
    FlipSign,
    LutS8,
    Op,
    Pad,
    PReluS8,
    Quantize,
    Slice,
    Transpose,
    UnaryF32,
    View,
)
from codegen.passes.edit import Edit
from codegen.passes.strides import (
    Layout,
    base_order,
    dense,
    factors_of,
    inverse,
    is_dense,
    offsets,
    reshaped,
    shape_of,
    transposed,
)

_NHWC = (0, 2, 3, 1)
_ANY_ORDER = (LutS8, UnaryF32, Quantize, Dequantize, FlipSign)


def choose_layout(graph: Graph) -> Graph:
    """Remove the Views and Transposes that memory order makes needless."""
    pass_ = _Layouts(graph)
    for node in graph.nodes:
        pass_.visit(node)
    return pass_.done()


class _Layouts:
    """Where each tensor of the input graph lies while the pass runs."""

    def __init__(self, graph: Graph) -> None:
        self.edit = Edit(graph)
        self.places: dict[str, tuple[str, Layout]] = {}
        self.real: dict[tuple[str, Layout], str] = {}

    def visit(self, node: Node) -> None:
        op = node.op
        if isinstance(op, View):
            self._view(node)
        elif isinstance(op, Transpose):
            base, layout = self.place(node.inputs[0])
            self.places[node.outputs[0]] = base, transposed(layout, op.perm)
        elif isinstance(op, _ANY_ORDER):
            self._any_order(node)
        elif isinstance(op, BinaryS8 | BinaryF32 | PReluS8):
            self._binary(node)
        elif isinstance(op, Concat | Slice | Pad):
            self._per_axis(node, op)
        elif isinstance(op, DenseS8 | DenseF32) and self._dense(node):
            return
        else:
            inputs = [self.dense(name, node) for name in node.inputs]
            self.edit.keep(replace(node, inputs=tuple(inputs)))

    def place(self, name: str) -> tuple[str, Layout]:
        """The base of a tensor and its layout there."""
        return self.places.get(name) or (name, dense(self.edit.tensors[name].shape))

    def dense(self, name: str, node: Node) -> str:
        """A tensor with the elements and shape of `name` in row-major order."""
        if not name:
            return name
        base, layout = self.place(name)
        return self._realise(base, layout, node, name)

    def done(self) -> Graph:
        """Give every graph output its own name and order."""
        for name in self.edit.graph.outputs:
            if name in self.places:
                self._write_output(name)
        return self.edit.done()

    def _write_output(self, name: str) -> None:
        base, layout = self.place(name)
        source = Node(name, View(), (), (), ())
        dense_name = self._realise(base, layout, source, name)
        self.edit.emit(View(), [dense_name], [name], name=f"{name}.output")

    def _shaped(self, base: str, shape: Sequence[int], node: Node, hint: str) -> str:
        """`base` under another shape."""
        tensor = self.edit.tensors[base]
        if tensor.shape == tuple(shape):
            return base
        if tensor.data is not None:
            return self.edit.new_constant(hint, tensor.data.reshape(shape), tensor.quant)
        key = base, dense(shape)
        if key not in self.real:
            view = self.edit.activation(f"{hint}.view", shape, tensor.dtype, tensor.quant)
            self.edit.emit(View(), [base], [view], node, name=f"{node.name}.view")
            self.real[key] = view
        return self.real[key]

    def _realise(self, base: str, layout: Layout, node: Node, hint: str) -> str:
        """A tensor that holds `base` in the order of `layout`."""
        shape = shape_of(layout)
        if is_dense(layout):
            return self._shaped(base, shape, node, hint)
        tensor = self.edit.tensors[base]
        if (base, layout) in self.real:
            return self.real[base, layout]
        factors = factors_of(layout)
        order = sorted(range(len(factors)), key=lambda index: -factors[index][1])
        inner = [factors[index][0] for index in order]
        perm = inverse(order)
        if tensor.data is not None:
            data = tensor.data.reshape(inner).transpose(perm).reshape(shape)
            result = self.edit.new_constant(hint, data, tensor.quant)
        else:
            source = self._shaped(base, inner, node, base)
            moved = self.edit.activation(
                f"{hint}.order", [inner[p] for p in perm], tensor.dtype, tensor.quant
            )
            self.edit.emit(Transpose(perm), [source], [moved], node, name=f"{node.name}.order")
            result = self._shaped(moved, shape, node, hint)
        self.real[base, layout] = result
        return result

    def _view(self, node: Node) -> None:
        base, layout = self.place(node.inputs[0])
        shape = self.edit.tensors[node.outputs[0]].shape
        viewed = reshaped(layout, shape)
        if viewed is None:
            base, viewed = self.dense(node.inputs[0], node), dense(shape)
        self.places[node.outputs[0]] = base, viewed

    def _result(self, node: Node, shape: Sequence[int], layout: Layout) -> str:
        """Declare the base that holds the output in `layout`; the output itself if it fits."""
        output = self.edit.tensors[node.outputs[0]]
        if is_dense(layout) and output.shape == tuple(shape):
            return output.name
        base = self.edit.activation(f"{output.name}.base", shape, output.dtype, output.quant)
        self.places[output.name] = base, layout
        return base

    def _any_order(self, node: Node) -> None:
        base, layout = self.place(node.inputs[0])
        if node.outputs[0] in self.edit.graph.outputs:
            # The last operator writes the output as it shall be: moving its input costs no more.
            base = self.dense(node.inputs[0], node)
            layout = dense(self.edit.tensors[base].shape)
        result = self._result(node, self.edit.tensors[base].shape, layout)
        self.edit.emit(node.op, [base, *node.inputs[1:]], [result], node)

    def _binary(self, node: Node) -> None:
        shape = self.edit.tensors[node.outputs[0]].shape
        full = [name for name in node.inputs if self._is_full(name, shape)]
        rest = [name for name in node.inputs if prod(self.edit.tensors[name].shape) != 1]
        layouts = {self.place(name)[1] for name in full}
        if full == rest and len(layouts) == 1:
            self._same_order(node, full[0])
            return
        op = node.op
        assert isinstance(op, BinaryS8 | BinaryF32 | PReluS8)
        self._permuted(node, lambda _: op, shape)

    def _is_full(self, name: str, shape: tuple[int, ...]) -> bool:
        tensor = self.edit.tensors[name]
        return tensor.data is None and tensor.shape == shape

    def _same_order(self, node: Node, first: str) -> None:
        """All operands lie alike (or are single numbers): their common order is as good as any."""
        base, layout = self.place(first)
        shape = self.edit.tensors[base].shape
        inputs = []
        for name in node.inputs:
            is_number = prod(self.edit.tensors[name].shape) == 1 and name != first
            inputs.append(
                self._shaped(self.place(name)[0], (1,) if is_number else shape, node, name)
            )
        self.edit.emit(node.op, inputs, [self._result(node, shape, layout)], node)

    def _per_axis(self, node: Node, op: Concat | Slice | Pad) -> None:
        def along(perm: tuple[int, ...]) -> Op:
            if isinstance(op, Concat):
                return Concat(perm.index(op.axis))
            if isinstance(op, Slice):
                return Slice(
                    tuple(op.starts[axis] for axis in perm), tuple(op.steps[axis] for axis in perm)
                )
            return replace(
                op,
                before=tuple(op.before[axis] for axis in perm),
                after=tuple(op.after[axis] for axis in perm),
            )

        self._permuted(node, along, self.edit.tensors[node.outputs[0]].shape)

    def _permuted(
        self, node: Node, along: Callable[[tuple[int, ...]], Op], shape: tuple[int, ...]
    ) -> None:
        """Run the node on axes in that order which moves the fewest bytes."""
        rank = len(shape)
        layouts: list[tuple[str, Layout]] = []
        for name in node.inputs:
            base, layout = self.place(name)
            padding = ((),) * (rank - len(layout))
            layouts.append((base, (*padding, *layout)))
        orders = [tuple(range(rank))]
        if rank == 4:
            orders.append(_NHWC)
        orders += [order for _, layout in layouts if (order := base_order(layout))]
        perm = min(orders, key=lambda order: self._moved_bytes(layouts, order))
        inputs = [
            self._realise(base, transposed(layout, perm), node, name)
            for name, (base, layout) in zip(node.inputs, layouts, strict=True)
        ]
        out_shape = tuple(shape[axis] for axis in perm)
        layout = transposed(dense(out_shape), inverse(perm))
        result = self._result(node, out_shape, layout)
        self.edit.emit(along(perm), inputs, [result], node)

    def _moved_bytes(self, layouts: list[tuple[str, Layout]], perm: tuple[int, ...]) -> int:
        return sum(
            self.edit.tensors[base].size_bytes
            for base, layout in layouts
            if self.edit.tensors[base].data is None and not is_dense(transposed(layout, perm))
        )

    def _dense(self, node: Node) -> bool:
        """Permute the weights of a Dense instead of its input; False when it is in order anyway."""
        base, layout = self.place(node.inputs[0])
        weights = self.edit.constant(node.inputs[1])
        if is_dense(layout) or weights is None:
            return False
        rows, columns = layout
        size = prod(factor for factor, _ in columns)
        if rows and rows != ((rows[0][0], size),):
            return False
        permuted = np.empty_like(weights)
        permuted[:, offsets(columns)] = weights
        matrix = self._shaped(base, shape_of(layout), node, node.inputs[0])
        constant = self.edit.new_constant(
            f"{node.inputs[1]}.permuted", permuted, self.edit.tensors[node.inputs[1]].quant
        )
        self.edit.keep(replace(node, inputs=(matrix, constant, *node.inputs[2:])))
        return True
