# SPDX-License-Identifier: MIT
"""From a parsed ModelProto to a `Graph`: constants, sorted nodes, inferred static shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx

from codegen.errors import ModelError, Problem, UnsupportedError
from codegen.ir import ITEM_BYTES, Array, DType, Graph, Node, OnnxOp, Tensor
from codegen.load.read import DTYPES, decode, opset_of, type_name
from codegen.load.shapes import infer
from codegen.load.supported import MAX_TENSOR_BYTES, SUPPORTED


def translate(model: onnx.ModelProto, path: Path) -> tuple[Graph, tuple[Problem, ...]]:
    """The graph of `model`, whose external data lies beside `path`, and what in it has no lowering.

    Raises ModelError, and UnsupportedError where such a node hides the shapes of others.
    """
    constants = _constants(model, path.parent)
    inputs = _input_names(model, constants)
    nodes = _sorted_nodes(_nodes(model), {*constants, *inputs})
    outputs = tuple(value.name for value in model.graph.output)
    unsupported = tuple(_unsupported(nodes, constants))
    problems = (
        *_dangling_outputs(nodes, constants, inputs, outputs),
        *_dynamic_inputs(model, constants),
        *_invalid_nodes(model),
    )
    if problems:
        raise ModelError(*problems, *unsupported)
    try:
        tensors = _tensors(model, constants, nodes, path.name)
    except ModelError:
        if unsupported:
            raise UnsupportedError(*unsupported) from None
        raise
    graph = Graph(
        name=model.graph.name or path.stem,
        tensors=tensors,
        nodes=nodes,
        inputs=inputs,
        outputs=outputs,
    )
    return graph, unsupported


def _input_names(model: onnx.ModelProto, constants: Mapping[str, Array]) -> tuple[str, ...]:
    """Old files list initializers among the inputs; those are no inputs."""
    return tuple(value.name for value in model.graph.input if value.name not in constants)


def _constants(model: onnx.ModelProto, directory: Path) -> dict[str, Array]:
    """Every initializer and every Constant node's value."""
    values: dict[str, Array] = {}
    problems: list[Problem] = []
    for tensor in model.graph.sparse_initializer:
        problems.append(Problem("sparse constants are not supported", repr(tensor.values.name)))
    for tensor in model.graph.initializer:
        _keep(decode(tensor, directory), tensor.name, values, problems)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output:
            _keep(_constant_value(node, directory), node.output[0], values, problems)
    if problems:
        raise ModelError(*problems)
    return values


def _keep(
    value: Array | Problem, name: str, values: dict[str, Array], problems: list[Problem]
) -> None:
    if isinstance(value, Problem):
        problems.append(value)
    elif name in values:
        problems.append(Problem("two constants have this name", f"tensor {name!r}"))
    else:
        values[name] = value


def _constant_value(node: onnx.NodeProto, directory: Path) -> Array | Problem:
    for attr in node.attribute:
        if attr.name == "value":
            return decode(attr.t, directory)
        if attr.name in ("value_float", "value_floats"):
            return np.array(onnx.helper.get_attribute_value(attr), np.float32)
        if attr.name in ("value_int", "value_ints"):
            return np.array(onnx.helper.get_attribute_value(attr), np.int64)
    return Problem("a Constant of this kind is not supported", f"node {node.name!r}")


def _nodes(model: onnx.ModelProto) -> list[Node]:
    """All nodes but Constants, in the file's order, with unique names."""
    nodes: list[Node] = []
    taken: set[str] = set()
    for index, proto in enumerate(model.graph.node):
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        if proto.op_type == "Constant" and not domain:
            continue
        if not proto.output or not proto.output[0]:
            raise ModelError(Problem("its first output has no name", f"node {proto.name!r}"))
        base = proto.name or f"{proto.op_type}_{index}"
        name, suffix = base, 1
        while name in taken:
            name, suffix = f"{base}_{suffix}", suffix + 1
        taken.add(name)
        attrs = {a.name: _plain(a) for a in proto.attribute}
        op = OnnxOp(proto.op_type, attrs, domain, opset_of(model, domain))
        nodes.append(Node(name, op, tuple(proto.input), tuple(proto.output), (name,)))
    return nodes


def _plain(attr: onnx.AttributeProto) -> object:
    value = onnx.helper.get_attribute_value(attr)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    return value


def _sorted_nodes(nodes: list[Node], known: set[str]) -> tuple[Node, ...]:
    """`nodes` in topological order; refuses inputs that nothing makes, doubles, and cycles."""
    problems: list[Problem] = []
    maker: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.outputs:
            if name and (name in maker or name in known):
                problems.append(Problem(f"output {name!r} is made twice", _where(node)))
            maker[name] = index
    for node in nodes:
        for name in node.inputs:
            if name and name not in known and name not in maker:
                problems.append(Problem(f"input {name!r} comes from nowhere", _where(node)))
    if problems:
        raise ModelError(*problems)
    waiting = [{maker[n] for n in node.inputs if n and n not in known} for node in nodes]
    followers: dict[int, list[int]] = {}
    for index, needs in enumerate(waiting):
        for need in needs:
            followers.setdefault(need, []).append(index)
    ready = [index for index, needs in enumerate(waiting) if not needs]
    order: list[int] = []
    for index in ready:  # `ready` grows while it is walked
        order.append(index)
        for follower in followers.get(index, ()):
            waiting[follower].discard(index)
            if not waiting[follower]:
                ready.append(follower)
    if len(order) < len(nodes):
        stuck = [_where(nodes[i]) for i, needs in enumerate(waiting) if needs]
        raise ModelError(Problem(f"the graph has a cycle among {len(stuck)} nodes", stuck[0]))
    # A file is nearly always sorted already; then its own order reads best.
    in_order = all(max(needs, default=-1) < i for i, needs in enumerate(_needs(nodes, maker)))
    return tuple(nodes) if in_order else tuple(nodes[i] for i in order)


def _needs(nodes: list[Node], maker: Mapping[str, int]) -> list[set[int]]:
    return [{maker[n] for n in node.inputs if n in maker} for node in nodes]


def _where(node: Node) -> str:
    kind = node.op.type if isinstance(node.op, OnnxOp) else type(node.op).__name__
    return f"node {node.name!r} ({kind})"


def _unsupported(nodes: tuple[Node, ...], constants: Mapping[str, Array]) -> Iterator[Problem]:
    """Name every node that has no lowering; those that only compute constants will fold away."""
    fixed = set(constants)
    for node in nodes:
        op = node.op
        assert isinstance(op, OnnxOp)
        has_graph = any(isinstance(v, onnx.GraphProto) for v in op.attrs.values())
        folds = op.type in ("Shape", "Size") or all(n in fixed for n in node.inputs if n)
        if folds and not op.domain and not has_graph:
            fixed.update(node.outputs)
        elif op.domain or op.type not in SUPPORTED:
            domain = f"{op.domain}, " if op.domain else ""
            yield Problem(
                f"operator {op.type} ({domain}opset {op.opset}) is not supported",
                _where(node),
                "quantize with quant_format=QDQ" if op.domain == "com.microsoft" else "",
            )


def _dangling_outputs(
    nodes: tuple[Node, ...],
    constants: Mapping[str, Array],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> Iterator[Problem]:
    made = {*constants, *inputs, *(name for node in nodes for name in node.outputs)}
    for name in outputs:
        if name not in made:
            yield Problem("this graph output comes from nowhere", f"tensor {name!r}")
    if not outputs:
        yield Problem("the graph has no outputs", "graph")


def _dynamic_inputs(model: onnx.ModelProto, constants: Mapping[str, Array]) -> Iterator[Problem]:
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = value.type.tensor_type.shape
        dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in shape.dim]
        dynamic = not value.type.tensor_type.HasField("shape")
        if dynamic or any(not isinstance(d, int) or d < 1 for d in dims):
            yield Problem(
                f"has the shape {[*dims]}, which is dynamic or empty",
                f"input {value.name!r}",
                "export with a fixed batch and size, or fix it with "
                "python -m onnxruntime.tools.make_dynamic_shape_fixed",
            )


def _invalid_nodes(model: onnx.ModelProto) -> Iterator[Problem]:
    """Let ONNX's own checker look at each of its own nodes: attributes, arity."""
    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {entry.domain: entry.version for entry in model.opset_import}
    for index, node in enumerate(model.graph.node):
        if node.domain not in ("", "ai.onnx"):
            continue
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError as error:
            what = " ".join(str(error).split("==>")[0].split())
            yield Problem(what, f"node {node.name or f'{node.op_type}_{index}'!r}")


def _tensors(
    model: onnx.ModelProto, constants: Mapping[str, Array], nodes: tuple[Node, ...], where: str
) -> dict[str, Tensor]:
    """Every tensor with its inferred shape and type."""
    tensors = {
        name: Tensor(
            name, data.shape, _dtype_of(data), np.ascontiguousarray(data).reshape(data.shape)
        )
        for name, data in constants.items()
    }
    shapes = infer(model, constants, nodes, where)
    problems: list[Problem] = []
    wanted = [value.name for value in model.graph.input if value.name not in constants]
    wanted += [name for node in nodes for name in node.outputs if name]
    for name in wanted:
        where, shape = f"tensor {name!r}", shapes.get(name)
        if shape is None:
            problems.append(Problem("its shape cannot be inferred", where))
            continue
        dtype = DTYPES.get(shape.element)
        if not shape.known:
            problems.append(Problem("its shape depends on data", where))
        elif dtype is None:
            kind = type_name(shape.element)
            problems.append(Problem(f"type {kind} is not supported", where))
        elif (size_bytes := prod(shape.dims) * ITEM_BYTES[dtype]) > MAX_TENSOR_BYTES:
            what = f"takes {size_bytes:,} bytes; the limit is {MAX_TENSOR_BYTES:,}"
            problems.append(Problem(what, where, "no microcontroller holds such a tensor"))
        else:
            tensors[name] = Tensor(name, shape.dims, dtype)
    if problems:
        raise ModelError(*problems)
    return tensors


def _dtype_of(data: Array) -> DType:
    names: dict[str, DType] = {d: d for d in ITEM_BYTES}
    return names[str(data.dtype)]
