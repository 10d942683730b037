# SPDX-License-Identifier: MIT
"""Lower what no integer operator has taken: float32 arithmetic, and clamps on bare int8."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from codegen.ir import Graph, Node, OnnxOp
from codegen.ops import (
    AvgPoolF32,
    BinaryF32,
    ConvF32,
    DenseF32,
    LayerNormF32,
    LutS8,
    MatMulF32,
    SoftmaxF32,
    Transpose,
    View,
)
from codegen.passes.attributes import integer, integers, real
from codegen.passes.edit import Edit
from codegen.passes.matrices import close_matrix, open_batches, open_matrix
from codegen.passes.quants import clip_range, real_literal
from codegen.passes.recurrent import lower_recurrent
from codegen.passes.reductions import close_mean, open_mean
from codegen.passes.rows import close_rows, open_rows
from codegen.passes.transposed_conv import lower_transposed_f32
from codegen.passes.unary import exact_reciprocal, unary_op
from codegen.passes.windows import (
    ceil_grows,
    close_nhwc,
    from_nhwc,
    spatial,
    to_nhwc,
    window_of,
)


def lower_floats(graph: Graph) -> Graph:
    """Every remaining ONNX operator; dequantized constants become float constants."""
    edit = Edit(graph)
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, OnnxOp):
            edit.keep(node)
        elif op.type == "DequantizeLinear":
            value = real_literal(edit, node.inputs[0])
            assert value is not None
            edit.replace(node.outputs[0], edit.new_constant(node.outputs[0], value))
        elif edit.tensor(node.outputs[0]).dtype == "int8" and clip_range(edit, node):
            _clip_int8(edit, node)
        elif edit.tensor(node.outputs[0]).dtype != "float32" or op.type not in _LOWER:
            dtype = edit.tensor(node.outputs[0]).dtype
            edit.refuse(node, f"is not supported on {dtype}")
        else:
            _LOWER[op.type](edit, node, op)
    return edit.done()


def _clip_int8(edit: Edit, node: Node) -> None:
    limits = clip_range(edit, node)
    assert limits is not None
    lo, hi = max(limits[0], -128.0), min(limits[1], 127.0)
    table = np.clip(np.arange(-128, 128), lo, hi).astype(np.int8)
    constant = edit.new_constant(f"{node.name}.table", table)
    edit.emit(LutS8("clip"), [node.inputs[0], constant], node.outputs, node)


def _conv(edit: Edit, node: Node, op: OnnxOp) -> None:
    source, target = node.inputs[0], node.outputs[0]
    weights = edit.constant(node.inputs[1])
    bias = _bias(edit, node, 0 if weights is None else weights.shape[0])
    if weights is None or bias is None or weights.ndim not in (3, 4):
        edit.refuse(node, "its weights or bias are no constants of a 1-D or 2-D filter")
        return
    shape, out_shape = edit.tensor(source).shape, edit.tensor(target).shape
    kernel = weights.shape[2:]
    weights = weights[:, :, None, :] if weights.ndim == 3 else weights
    kind = ConvF32(
        window=window_of(op, spatial(shape), spatial(out_shape), kernel),
        groups=integer(op, "group", 1),
    )
    w = edit.new_constant(f"{node.name}.weights", weights.transpose(0, 2, 3, 1))
    inner = to_nhwc(edit, node, source)
    result = from_nhwc(edit, node, target)
    edit.emit(kind, [inner, w, bias], [result], node)
    close_nhwc(edit, node, result, target)


def _bias(edit: Edit, node: Node, count: int, factor: float = 1.0) -> str | None:
    """The constant float32 bias of shape (count,); None when the file's is of another kind."""
    data = np.zeros(1, np.float32)
    if len(node.inputs) > 2 and node.inputs[2]:
        found = edit.constant(node.inputs[2])
        if found is None or found.size not in (1, count) or found.shape[-1:] not in (
            (), (1,), (count,)
        ):  # fmt: skip
            return None
        data = found.astype(np.float32)
    vector = np.broadcast_to(data.reshape(-1) * np.float32(factor), (count,))
    return edit.new_constant(f"{node.name}.bias", vector.astype(np.float32))


def _gemm(edit: Edit, node: Node, op: OnnxOp) -> None:
    weights = edit.constant(node.inputs[1])
    alpha, beta = np.float32(real(op, "alpha", 1.0)), real(op, "beta", 1.0)
    bias = None if weights is None else _bias(
        edit, node, weights.shape[0 if integer(op, "transB", 0) else 1], beta
    )  # fmt: skip
    if weights is None or bias is None:
        _gemm_in_steps(edit, node, op)
        return
    matrix = weights if integer(op, "transB", 0) else weights.T
    scaled = (matrix.astype(np.float32) * alpha).astype(np.float32)
    w = edit.new_constant(f"{node.name}.weights", scaled)
    source = open_matrix(edit, node, node.inputs[0], bool(integer(op, "transA", 0)))
    edit.emit(DenseF32(), [source, w, bias], node.outputs, node)


def _gemm_in_steps(edit: Edit, node: Node, op: OnnxOp) -> None:
    """A Gemm of two activations, or with a bias that is no constant vector: product, scale, sum."""
    operands = []
    for name, turn in zip(node.inputs, ("transA", "transB"), strict=False):
        tensor = edit.tensor(name)
        if integer(op, turn, 0):
            turned = edit.activation(f"{name}.t", tensor.shape[::-1], tensor.dtype)
            edit.emit(Transpose((1, 0)), [name], [turned], node, name=f"{node.name}.{turn}")
            name = turned
        operands.append(name)
    output = edit.tensor(node.outputs[0])
    steps: list[tuple[str, str]] = []
    alpha, beta = real(op, "alpha", 1.0), real(op, "beta", 1.0)
    if alpha != 1.0:
        steps.append(
            ("mul", edit.new_constant(f"{node.name}.alpha", np.array([alpha], np.float32)))
        )
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = node.inputs[2]
        if beta != 1.0:
            factor = edit.new_constant(f"{node.name}.beta", np.array([beta], np.float32))
            scaled = edit.activation(f"{bias}.beta", edit.tensor(bias).shape, "float32")
            edit.emit(BinaryF32("mul"), [bias, factor], [scaled], node, name=f"{node.name}.beta")
            bias = scaled
        steps.append(("add", bias))
    result = node.outputs[0]
    if steps:
        result = edit.activation(f"{output.name}.product", output.shape, "float32")
    _product(edit, node, operands[0], operands[1], result)
    for index, (kind, operand) in enumerate(steps):
        last = index + 1 == len(steps)
        target = (
            output.name if last else edit.activation(f"{result}.{kind}", output.shape, "float32")
        )
        binary = BinaryF32(kind)  # type: ignore[arg-type]
        edit.emit(binary, [result, operand], [target], node, name=f"{node.name}.{kind}")
        result = target


def _product(edit: Edit, node: Node, a: str, b: str, target: str) -> None:
    """`a @ b` of whatever is constant or not."""
    weights = edit.constant(b)
    if weights is not None and weights.ndim == 2:
        w = edit.new_constant(f"{node.name}.weights", np.ascontiguousarray(weights.T))
        zeros = edit.new_constant(f"{node.name}.bias", np.zeros(weights.shape[1], np.float32))
        source = open_matrix(edit, node, a)
        shape = (edit.tensor(source).shape[0], weights.shape[1])
        result = edit.activation(f"{target}.matrix", shape, "float32")
        edit.emit(DenseF32(), [source, w, zeros], [result], node)
        close_matrix(edit, node, result, target)
        return
    frame = open_batches(edit, node, a, b, target)
    if frame is None:
        edit.refuse(node, "the batch axes of its operands differ")
        return
    edit.emit(MatMulF32(), frame.inputs, [frame.result], node)
    close_matrix(edit, node, frame.result, target)


def _matmul(edit: Edit, node: Node, op: OnnxOp) -> None:
    _product(edit, node, node.inputs[0], node.inputs[1], node.outputs[0])


def _binary(edit: Edit, node: Node, op: OnnxOp) -> None:
    kind = BinaryF32(op.type.lower())  # type: ignore[arg-type]
    inputs = list(node.inputs)
    divisor = edit.constant(inputs[1]) if op.type == "Div" else None
    factor = None if divisor is None else exact_reciprocal(divisor.astype(np.float32))
    if factor is not None:
        kind, inputs[1] = BinaryF32("mul"), edit.new_constant(f"{inputs[1]}.reciprocal", factor)
    edit.emit(kind, inputs, node.outputs, node)


def _unary(edit: Edit, node: Node, op: OnnxOp) -> None:
    kind = unary_op(edit, node)
    if kind is not None:
        edit.emit(kind, node.inputs[:1], node.outputs, node)
    elif op.type == "PRelu":
        edit.emit(BinaryF32("prelu"), node.inputs, node.outputs, node)
    else:
        edit.refuse(node, "its limits are computed at run time")


def _pool(edit: Edit, node: Node, op: OnnxOp) -> None:
    source, target = node.inputs[0], node.outputs[0]
    shape, out_shape = edit.tensor(source).shape, edit.tensor(target).shape
    if len(shape) not in (3, 4):
        edit.refuse(node, f"only 1-D and 2-D windows are supported, not shape {list(shape)}")
        return
    whole = op.type == "GlobalAveragePool"
    counted = bool(integer(op, "count_include_pad", 0))
    kernel = shape[2:] if whole else integers(op, "kernel_shape", ())
    window = window_of(OnnxOp("") if whole else op, spatial(shape), spatial(out_shape), kernel)
    if counted and ceil_grows(op, window):
        edit.refuse(node, "ceil_mode with count_include_pad is not supported where they interact")
        return
    inner = to_nhwc(edit, node, source)
    result = from_nhwc(edit, node, target)
    edit.emit(AvgPoolF32(window, counted), [inner], [result], node)
    close_nhwc(edit, node, result, target)


def _mean(edit: Edit, node: Node, op: OnnxOp) -> None:
    mean = open_mean(edit, node, op, node.inputs[0])
    if mean is None:
        return
    result = edit.activation(f"{node.outputs[0]}.mean", mean.out_shape, "float32")
    edit.emit(AvgPoolF32(mean.window, False), [mean.source], [result], node)
    close_mean(edit, node, mean, result, node.outputs[0])


def _softmax(edit: Edit, node: Node, op: OnnxOp) -> None:
    axis = integer(op, "axis", -1)
    rows = open_rows(edit, node, node.inputs[0], axis)
    result = edit.activation(f"{node.outputs[0]}.rows", edit.tensor(rows).shape, "float32")
    edit.emit(SoftmaxF32(op.type == "LogSoftmax"), [rows], [result], node)
    close_rows(edit, node, result, node.outputs[0], axis)


def _layer_norm(edit: Edit, node: Node, op: OnnxOp) -> None:
    source, target = edit.tensor(node.inputs[0]), node.outputs[0]
    shape = source.shape
    axis = integer(op, "axis", -1) % len(shape)
    if any(node.outputs[1:]):
        edit.refuse(node, "its mean and deviation outputs are not supported")
        return
    constants: list[str] = []
    for name in filter(None, node.inputs[1:]):
        value = edit.constant(name)
        if value is None:
            edit.refuse(node, "its scale or bias is computed at run time")
            return
        row = np.broadcast_to(value, shape[axis:]).reshape(-1)
        constants.append(edit.new_constant(f"{node.name}.{len(constants)}", row))
    matrix = (prod(shape[:axis]), prod(shape[axis:]))
    rows = edit.activation(f"{source.name}.rows", matrix, "float32")
    result = edit.activation(f"{target}.rows", matrix, "float32")
    edit.emit(View(), [source.name], [rows], node, name=f"{node.name}.rows")
    edit.emit(LayerNormF32(real(op, "epsilon", 1e-5)), [rows, *constants], [result], node)
    edit.emit(View(), [result], [target], node, name=f"{node.name}.shape")


_LOWER: dict[str, Callable[[Edit, Node, OnnxOp], None]] = {
    "Conv": _conv, "ConvTranspose": lower_transposed_f32, "Gemm": _gemm, "MatMul": _matmul,
    "Add": _binary, "Sub": _binary, "Mul": _binary, "Div": _binary, "Relu": _unary,
    "Clip": _unary, "LeakyRelu": _unary, "PRelu": _unary, "HardSigmoid": _unary,
    "HardSwish": _unary, "Sigmoid": _unary, "Tanh": _unary, "Erf": _unary, "Gelu": _unary,
    "AveragePool": _pool, "GlobalAveragePool": _pool, "ReduceMean": _mean,
    "Softmax": _softmax, "LogSoftmax": _softmax, "LayerNormalization": _layer_norm,
    "GRU": lower_recurrent, "LSTM": lower_recurrent,
}  # fmt: skip
