# SPDX-License-Identifier: MIT
"""ONNX Runtime's QOperator nodes, written as DequantizeLinear, operator, QuantizeLinear.

Its quantizer's `QuantFormat.QOperator` (and older exporters) write one node of the domain
com.microsoft for each such group. ONNX Runtime fuses the groups into these very nodes, so both
forms compute the same bits and one lowering serves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from codegen.errors import Problem
from codegen.ir import Array
from codegen.load.read import decode

DOMAIN = "com.microsoft"


@dataclass(frozen=True, slots=True)
class _Form:
    """The standard operator behind a node, and where its quantization parameters are.

    `operands` are (tensor, scale, zero point) input positions, `result` the (scale, zero point)
    positions of the output; `attrs` are the attributes that the standard operator keeps.
    """

    type: str
    operands: tuple[tuple[int, int, int], ...]
    result: tuple[int, int]
    attrs: tuple[str, ...] = ()


_WINDOW = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
_TWO = ((0, 1, 2), (3, 4, 5))
_ONE = ((0, 1, 2),)

_FORMS = {
    "QGemm": _Form("Gemm", _TWO, (7, 8), ("transA", "transB")),
    "QLinearAdd": _Form("Add", _TWO, (6, 7)),
    "QLinearAveragePool": _Form("AveragePool", _ONE, (3, 4), _WINDOW),
    "QLinearConcat": _Form("Concat", (), (0, 1), ("axis",)),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", _ONE, (3, 4)),
    "QLinearLeakyRelu": _Form("LeakyRelu", _ONE, (3, 4), ("alpha",)),
    "QLinearMul": _Form("Mul", _TWO, (6, 7)),
    "QLinearSigmoid": _Form("Sigmoid", _ONE, (3, 4)),
    "QLinearSoftmax": _Form("Softmax", _ONE, (3, 4), ("axis",)),
}

_PLAIN = {"alpha": (1.0,), "channels_last": (0,), "opset": tuple(range(13, 64))}
"""Attributes that the standard operators lack, and the values under which nothing is lost."""


def expand_qoperators(model: onnx.ModelProto, directory: Path) -> None:
    """Replace, in place, each QOperator node of `model` that has a standard form.

    What has none, a malformed node included, stays and is refused by name like any other operator.
    `directory` holds the model's external data.
    """
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names.update(tensor.name for tensor in model.graph.initializer)
    scales = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        form = _FORMS.get(node.op_type) if node.domain == DOMAIN else None
        bias_scale = _bias_scale(node, scales, directory)
        if form is None or not _is_plain(node, form) or isinstance(bias_scale, Problem):
            nodes.append(node)
        else:
            nodes.extend(_expanded(node, form, bias_scale, names))
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _is_plain(node: NodeProto, form: _Form) -> bool:
    """Whether the standard operator says all that `node` says."""
    for attr in node.attribute:
        if attr.name in form.attrs:
            continue
        if helper.get_attribute_value(attr) not in _PLAIN.get(attr.name, ()):
            return False
    operands = _operands(node, form)
    needed = [at for operand in operands for at in operand[:2]]
    if node.op_type != "QGemm" or len(node.input) > form.result[0]:  # else its output is float32
        needed.extend(form.result)
    present = [at < len(node.input) and bool(node.input[at]) for at in needed]
    return len(node.output) == 1 and bool(operands) and all(present)


def _operands(node: NodeProto, form: _Form) -> tuple[tuple[int, int, int], ...]:
    if node.op_type != "QLinearConcat":
        return form.operands
    return tuple((at, at + 1, at + 2) for at in range(2, len(node.input), 3))


def _bias_scale(
    node: NodeProto, constants: Mapping[str, onnx.TensorProto], directory: Path
) -> Array | Problem | None:
    """The scale of a QGemm's int32 bias, a_scale * b_scale; None where there is no bias."""
    if node.op_type != "QGemm" or len(node.input) < 7 or not node.input[6]:
        return None
    scales: list[Array] = []
    for name in (node.input[1], node.input[4]):
        if name not in constants:
            return Problem("its scale is computed at run time", f"tensor {name!r}")
        scale = decode(constants[name], directory)
        if isinstance(scale, Problem):
            return scale
        if scale.dtype != np.float32 or (scales and scales[0].size != 1):
            return Problem("its scale is not one float32", f"tensor {name!r}")
        scales.append(scale)
    product: Array = np.multiply(scales[0].reshape(()), scales[1])
    return product


def _expanded(
    node: NodeProto, form: _Form, bias_scale: Array | None, taken: set[str]
) -> Iterator[NodeProto]:
    """The nodes that replace `node`; `taken` gains the names of the tensors between them."""

    def fresh(suffix: str) -> str:
        name = f"{node.output[0]}/{suffix}"
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    values: list[str] = []
    operands = _operands(node, form)
    for number, operand in enumerate(operands):
        inputs = [node.input[at] for at in operand if at < len(node.input)]
        values.append(fresh(f"float{number}"))
        axis = _columns_axis(node) if node.op_type == "QGemm" and number == 1 else 1
        yield helper.make_node("DequantizeLinear", inputs, [values[-1]], axis=axis)
    if bias_scale is not None:
        scale, bias = fresh("bias_scale"), fresh("bias")
        value = numpy_helper.from_array(bias_scale)
        yield helper.make_node("Constant", [], [scale], value=value)
        yield helper.make_node("DequantizeLinear", [node.input[6], scale], [bias], axis=0)
        values.append(bias)
    attrs = [attr for attr in node.attribute if attr.name in form.attrs]
    quantized = form.result[0] < len(node.input)
    output = fresh("float") if quantized else node.output[0]
    name = node.name or node.output[0]
    operation = helper.make_node(form.type, values, [output], name=name)
    operation.attribute.extend(attrs)
    yield operation
    if quantized:
        yield helper.make_node(
            "QuantizeLinear", [output, *(node.input[at] for at in form.result)], [node.output[0]]
        )


def _columns_axis(node: NodeProto) -> int:
    """The axis of B along which a QGemm has one scale per column of its product."""
    return 0 if any(attr.name == "transB" and attr.i for attr in node.attribute) else 1
