# SPDX-License-Identifier: MIT
"""The static shape and type of every value, as ONNX infers them.

Exporters compute shapes and pads inside the graph, by more operators than shape inference follows.
Where it gets stuck, what is constant is computed for it, and it tries again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import shape_inference

from codegen.errors import ModelError, Problem
from codegen.ir import Array, Node
from codegen.load.evaluate import evaluate

_SMALL_BYTES = 1 << 12
"""What may be a shape, or part of one; nothing larger is computed here or moved into the file."""

_ROUNDS = 32
"""How often inference may get stuck behind operators that it does not follow."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Dimensions (-1 where unknown) and the number of ONNX's element type."""

    dims: tuple[int, ...]
    element: int

    @property
    def known(self) -> bool:
        return all(dim >= 0 for dim in self.dims)


def infer(
    model: onnx.ModelProto, constants: Mapping[str, Array], nodes: tuple[Node, ...], where: str
) -> dict[str, Shape]:
    """All shapes by name; changes `model`. A contradiction is a ModelError.

    `nodes` are the model's in topological order.
    """
    _sort(model, nodes)
    _inline(model, constants)
    values = dict(constants)
    folded: dict[str, Shape] = {}
    for _ in range(_ROUNDS):
        shapes = _inferred(model, where) | folded
        if all(shape.known for shape in shapes.values()):
            break
        found = dict(_computable(model, values, shapes))
        if not found:
            break
        values |= found
        folded |= {name: _shape_of(value) for name, value in found.items()}
        _replace(model, found)
    return shapes


def _sort(model: onnx.ModelProto, nodes: tuple[Node, ...]) -> None:
    """Inference wants the nodes in topological order."""
    place = {node.outputs[0]: index for index, node in enumerate(nodes)}
    protos = sorted(model.graph.node, key=lambda p: place.get(p.output[0], -1) if p.output else -1)
    copies = [onnx.NodeProto.FromString(proto.SerializeToString()) for proto in protos]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _inline(model: onnx.ModelProto, constants: Mapping[str, Array]) -> None:
    """Inference wants constants that may be shapes inside the file."""
    for tensor in model.graph.initializer:
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        if outside and constants[tensor.name].nbytes <= _SMALL_BYTES:
            tensor.CopyFrom(onnx.numpy_helper.from_array(constants[tensor.name], tensor.name))


def _inferred(model: onnx.ModelProto, where: str) -> dict[str, Shape]:
    try:
        graph = shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        ).graph
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise ModelError(Problem(f"shape inference fails: {text[:400]}", where)) from None
    return {
        value.name: Shape(
            tuple(
                d.dim_value if d.HasField("dim_value") else -1
                for d in value.type.tensor_type.shape.dim
            ),
            value.type.tensor_type.elem_type,
        )
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.HasField("shape")
    }


def _shape_of(value: Array) -> Shape:
    return Shape(value.shape, onnx.helper.np_dtype_to_tensor_dtype(value.dtype))


def _computable(
    model: onnx.ModelProto, values: Mapping[str, Array], shapes: Mapping[str, Shape]
) -> Iterator[tuple[str, Array]]:
    """Small results that follow from constants and known shapes."""
    known = dict(values)
    opset = {entry.domain: entry.version for entry in model.opset_import}
    for node in model.graph.node:
        found: dict[str, Array] = {}
        outputs = [shapes.get(name) for name in node.output if name]
        if node.op_type == "Shape" and (source := shapes.get(node.input[0])) and source.known:
            dims = np.array(source.dims, np.int64)
            stop = {a.name: a.i for a in node.attribute}
            found = {node.output[0]: dims[stop.get("start", 0) : stop.get("end", len(dims))]}
        elif (
            node.op_type in ("Constant", "QuantizeLinear", "DequantizeLinear")
            or any(name not in known for name in node.input if name)
            or not all(
                shape and shape.known and prod(shape.dims) <= _SMALL_BYTES for shape in outputs
            )
        ):
            continue
        else:
            feeds = {name: known[name] for name in node.input if name}
            found = evaluate(node, opset.get(node.domain, 0), feeds)
        known |= found
        yield from found.items()


def _replace(model: onnx.ModelProto, found: Mapping[str, Array]) -> None:
    """Constants instead of the nodes that computed them."""
    kept = [node for node in model.graph.node if not any(name in found for name in node.output)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    for name, value in found.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
