# SPDX-License-Identifier: MIT
"""From a path to a parsed ModelProto, and from a TensorProto to numpy: sizes first, bytes after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnx

from codegen.errors import ModelError, Problem
from codegen.ir import ITEM_BYTES, Array, DType
from codegen.load.supported import FIRST_OPSET, MAX_TENSOR_BYTES

MAX_FILE_BYTES = (1 << 31) - 1
"""Protobuf's own limit for one message."""

DTYPES: dict[int, DType] = {
    onnx.TensorProto.INT8: "int8", onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT64: "int64", onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.BOOL:
    "bool", }  # fmt: skip


def read_model(path: Path) -> onnx.ModelProto:
    """Parse `path` without its external data; checks the opset and inlines local functions."""
    where = path.name
    if not path.is_file():
        raise ModelError(Problem("there is no such file", str(path)))
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(Problem("the file is larger than 2 GiB, the limit of the format", where))
    content = path.read_bytes()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception:  # protobuf's own DecodeError, which has no typed import
        # Field 1 of every ModelProto is the IR version, which all writers put first.
        what = (
            "the file is cut short or damaged"
            if content[:1] == b"\x08"
            else "this is not an ONNX file"
        )
        raise ModelError(Problem(what, where, "export or download it again")) from None
    if not model.opset_import and not model.graph.node:
        raise ModelError(Problem("this is not an ONNX file, or it is empty", where))
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    newest = onnx.defs.onnx_opset_version()
    opset = opset_of(model, "")
    if not FIRST_OPSET <= opset <= newest:
        raise ModelError(
            Problem(
                f"opset {opset} is outside {FIRST_OPSET}..{newest}",
                where,
                "convert it with onnx.version_converter, or install a newer onnx package",
            )
        )
    return model


def name_first_outputs(model: onnx.ModelProto) -> None:
    """Name, in place, the first outputs that a file leaves out where only later ones are read."""
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    for node in model.graph.node:
        if len(node.output) > 1 and not node.output[0]:
            name = f"{next(filter(None, node.output), node.name)}.first"
            while name in taken:
                name += "_"
            taken.add(name)
            node.output[0] = name


def opset_of(model: onnx.ModelProto, domain: str) -> int:
    """The opset version that the model imports for `domain` ("" and "ai.onnx" are the same)."""
    for entry in model.opset_import:
        if (entry.domain or "ai.onnx") == (domain or "ai.onnx"):
            return int(entry.version)
    return 0


def type_name(number: int) -> str:
    """ONNX's name of a data type, or its number where that means nothing."""
    names: dict[int, str] = {v: k for k, v in onnx.TensorProto.DataType.items()}
    return names.get(number, str(number))


def decode(tensor: onnx.TensorProto, directory: Path) -> Array | Problem:
    """The value of `tensor`, or what is wrong with it; nothing is allocated before sizes agree."""
    where = f"tensor {tensor.name!r}"
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        kind = type_name(tensor.data_type)
        return Problem(f"constants of type {kind} are not supported", where)
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape):
        return Problem(f"has a negative dimension: {list(shape)}", where)
    size_bytes = prod(shape) * ITEM_BYTES[dtype]
    if size_bytes > MAX_TENSOR_BYTES:
        return Problem(
            f"takes {size_bytes:,} bytes; the limit is {MAX_TENSOR_BYTES:,}", where,
            "no microcontroller holds such a tensor",
        )  # fmt: skip
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external(tensor, directory, dtype, shape, size_bytes)
    if tensor.HasField("raw_data"):
        return _from_bytes(tensor.raw_data, dtype, shape, size_bytes, where)
    field = {"float32": tensor.float_data, "int64": tensor.int64_data}.get(dtype, tensor.int32_data)
    if len(field) != prod(shape):
        return Problem(f"has {len(field)} values for the shape {list(shape)}", where)
    if dtype == "float32":
        return np.array(field, np.float32).reshape(shape)
    values = np.array(field, np.int64)
    if dtype in ("int8", "uint8"):
        limits = np.iinfo(dtype)
        if values.size and (values.min() < limits.min or values.max() > limits.max):
            worst = values[(values < limits.min) | (values > limits.max)][0]
            return Problem(f"the value {worst} is out of range for {dtype}", where)
    return values.astype(dtype).reshape(shape)


def _from_bytes(
    data: bytes, dtype: DType, shape: tuple[int, ...], size_bytes: int, where: str
) -> Array | Problem:
    if len(data) != size_bytes:
        return Problem(
            f"has {len(data)} bytes of data; its shape {list(shape)} needs {size_bytes}", where
        )
    little_endian = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(data, little_endian).astype(dtype).reshape(shape)


def external_locations(content: bytes) -> tuple[str, ...]:
    """The names of the other files that a model's tensors lie in, as it spells them; none for
    bytes that are no model.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception:  # as in read_model, which complains
        return ()
    functions = (node for f in model.functions for node in f.node)
    found = {e.value for t in (*_tensors(model.graph), *_of_nodes(functions))
             for e in t.external_data if e.key == "location"}  # fmt: skip
    return tuple(sorted(found))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (a for node in nodes for a in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _external(
    tensor: onnx.TensorProto, directory: Path, dtype: DType, shape: tuple[int, ...], size_bytes: int
) -> Array | Problem:
    """The bytes of a tensor kept in a file of its own, which must lie inside `directory`."""
    where = f"tensor {tensor.name!r}"
    entry = {e.key: e.value for e in tensor.external_data}
    location = entry.get("location", "")
    root = directory.resolve()
    path = (root / location).resolve()
    if not location or not path.is_relative_to(root):
        return Problem(
            f"its external data file {location!r} lies outside the model's directory", where,
            "save the model with its data file beside it",
        )  # fmt: skip
    if not path.is_file():
        return Problem(f"its external data file {location!r} is missing", where)
    try:
        offset = int(entry.get("offset", "0"))
        length = int(entry.get("length", str(size_bytes)))
    except ValueError:
        return Problem("its external data has an offset or length that is no number", where)
    if offset < 0 or length != size_bytes or offset + length > path.stat().st_size:
        return Problem(
            f"needs {size_bytes} bytes, but its entry names {length} at {offset} in {location!r}",
            where,
            "the data file is cut short or belongs to another model",
        )
    with path.open("rb") as stream:
        stream.seek(offset)
        return _from_bytes(stream.read(length), dtype, shape, size_bytes, where)
