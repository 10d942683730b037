# SPDX-License-Identifier: MIT
"""Lower what stands between Dequantize and Quantize to the integer operators of ONNX Runtime.

An operator is matched at its Quantize: the value quantized must have no other reader, and each
operand must come from a Dequantize or be a (dequantized) constant. What does not match stays in
float, as in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from codegen import luts
from codegen.ir import F32, I8, Graph, Node, OnnxOp
from codegen.ops import AvgPoolS8, BinaryS8, Dequantize, LutS8, PReluS8, Quantize, SoftmaxS8
from codegen.passes.attributes import integer, integers
from codegen.passes.edit import Edit
from codegen.passes.integer_linear import (
    lower_conv,
    lower_gemm,
    lower_matmul,
    lower_qlinear_conv,
    lower_qlinear_matmul,
)
from codegen.passes.quants import int8_operand, int8_source, real_literal
from codegen.passes.reductions import close_mean, open_mean
from codegen.passes.rows import close_rows, open_rows
from codegen.passes.transposed_conv import lower_transposed_s8
from codegen.passes.unary import function_of
from codegen.passes.windows import close_nhwc, from_nhwc, spatial, to_nhwc, window_of


def lower_integer(graph: Graph) -> Graph:
    """Fuse Dequantize -> operator -> Quantize groups, and lower QLinearConv and QLinearMatMul."""
    edit = Edit(graph)
    for node in graph.nodes:
        op = node.op
        if isinstance(op, OnnxOp) and op.type == "QLinearConv":
            lower_qlinear_conv(edit, node, op)
        elif isinstance(op, OnnxOp) and op.type == "QLinearMatMul":
            lower_qlinear_matmul(edit, node, op)
        elif not (isinstance(op, Quantize) and _fuse(edit, node, op)):
            edit.keep(node)
    return edit.done()


def _fuse(edit: Edit, quantize: Node, to: Quantize) -> bool:
    """Write the integer operator that ends in `quantize`; False when there is none."""
    inner = edit.maker(quantize.inputs[0])
    if inner is None:
        return False
    target = quantize.outputs[0]
    if isinstance(inner.op, Dequantize):
        table = luts.table(lambda x: x, inner.op.scale, inner.op.zp, to.scale, to.zp)
        _emit_lut(edit, "requantize", table, inner.inputs[0], target, quantize)
        return True
    if not isinstance(inner.op, OnnxOp) or not edit.only_use(quantize.inputs[0]):
        return False
    lower = _LOWER.get(inner.op.type)
    return lower is not None and lower(edit, inner, inner.op, quantize, to)


def _emit_lut(edit: Edit, kind: str, table: I8, source: str, target: str, *origins: Node) -> None:
    constant = edit.new_constant(f"{origins[0].name}.table", table)
    edit.emit(LutS8(kind), [source, constant], [target], *origins)


def _binary(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    operands = [int8_operand(edit, name) for name in node.inputs]
    if op.type == "Div" or operands[0] is None or operands[1] is None:
        return _unary(edit, node, op, quantize, to)
    (a, a_from), (b, b_from) = operands[0], operands[1]
    mixed = not a_from.unsigned == b_from.unsigned == to.unsigned
    if mixed and op.type != "Sub":
        return False  # ONNX Runtime adds and multiplies integers of one type only
    if op.type == "Add" and _repeats(edit, node.inputs[0], node.inputs[1]):
        # ONNX Runtime keeps the operand that stands still in second place, and adds it first.
        (a, a_from), (b, b_from) = (b, b_from), (a, a_from)
    kind = BinaryS8(
        kind=op.type.lower(),  # type: ignore[arg-type]
        a_scale=a_from.scale, a_zp=a_from.zp, b_scale=b_from.scale, b_zp=b_from.zp,
        out_scale=to.scale, out_zp=to.zp, unsigned=to.unsigned,
    )  # fmt: skip
    edit.emit(kind, [a, b], quantize.outputs, node, quantize)
    return True


def _repeats(edit: Edit, a: str, b: str) -> bool:
    """Whether `a` stays the same along the innermost axis on which one of both varies."""
    a_shape, b_shape = edit.tensor(a).shape, edit.tensor(b).shape
    rank = max(len(a_shape), len(b_shape))
    pairs = zip(
        (*[1] * (rank - len(a_shape)), *a_shape),
        (*[1] * (rank - len(b_shape)), *b_shape),
        strict=True,
    )
    varying = [(of_a, of_b) for of_a, of_b in pairs if max(of_a, of_b) > 1]
    return bool(varying) and varying[-1][0] == 1


def _unary(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    """One table for all nodes between a Dequantize and this Quantize, each a function of one."""
    kinds: list[str] = []
    functions: list[Callable[[F32], F32]] = []
    origins = [quantize]
    found = None
    while found is None:
        step = function_of(edit, node)
        if step is None:
            return False
        kind, name, function = step
        kinds.insert(0, kind)
        functions.insert(0, function)
        origins.insert(0, node)
        found = int8_source(edit, name)
        maker = edit.maker(name)
        if found is None:
            if maker is None or not isinstance(maker.op, OnnxOp) or not edit.only_use(name):
                return False
            node = maker
    source, of = found
    table = luts.table(
        lambda x: reduce(lambda value, function: function(value), functions, x),
        of.scale, of.zp, to.scale, to.zp,
    )  # fmt: skip
    _emit_lut(edit, "+".join(kinds), table, source, quantize.outputs[0], *origins)
    return True


def _prelu(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    found, slope = int8_source(edit, node.inputs[0]), real_literal(edit, node.inputs[1])
    if found is None or slope is None or slope.size == 1:
        return _unary(edit, node, op, quantize, to)
    source, of = found
    kind = PReluS8(of.scale, of.zp, to.scale, to.zp)
    constant = edit.new_constant(f"{node.name}.slope", slope)
    edit.emit(kind, [source, constant], quantize.outputs, node, quantize)
    return True


def _pool(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    found = int8_source(edit, node.inputs[0])
    shape = edit.tensor(node.inputs[0]).shape
    if found is None or len(shape) not in (3, 4):
        return False
    source, of = found
    whole = op.type == "GlobalAveragePool"
    kernel = shape[2:] if whole else integers(op, "kernel_shape", ())
    out_shape = edit.tensor(node.outputs[0]).shape
    window = window_of(OnnxOp("") if whole else op, spatial(shape), spatial(out_shape), kernel)
    # ONNX Runtime takes any window that just covers the image for a global pool.
    whole = whole or (window.kernel == spatial(shape) and not any(window.pads))
    kind = AvgPoolS8(
        window=window,
        count_include_pad=bool(integer(op, "count_include_pad", 0)),
        form="global" if whole else "window",
        in_scale=of.scale, in_zp=of.zp, out_scale=to.scale, out_zp=to.zp, unsigned=to.unsigned,
    )  # fmt: skip
    inner = to_nhwc(edit, node, source)
    result = from_nhwc(edit, node, quantize.outputs[0])
    edit.emit(kind, [inner], [result], node, quantize)
    close_nhwc(edit, node, result, quantize.outputs[0])
    return True


def _mean(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    found = int8_source(edit, node.inputs[0])
    if found is None:
        return False
    source, of = found
    mean = open_mean(edit, node, op, source)
    if mean is None:
        return False
    packed = mean.trailing and not _feeds_window(edit, quantize.outputs[0])
    kind = AvgPoolS8(
        window=mean.window, count_include_pad=False, form="packed" if packed else "mean",
        in_scale=of.scale, in_zp=of.zp, out_scale=to.scale, out_zp=to.zp,
    )  # fmt: skip
    result = edit.activation(f"{node.outputs[0]}.mean", mean.out_shape, "int8",
                             edit.tensor(quantize.outputs[0]).quant)  # fmt: skip
    edit.emit(kind, [mean.source], [result], node, quantize)
    close_mean(edit, node, mean, result, quantize.outputs[0])
    return True


def _feeds_window(edit: Edit, name: str) -> bool:
    """Whether a tensor reaches a convolution or pooling as it is, element by element at most.

    ONNX Runtime then keeps channels last from there up, and with them its means.
    """
    found = {name}
    for node in edit.graph.nodes:
        if found.isdisjoint(node.inputs):
            continue
        kind = node.op.type if isinstance(node.op, OnnxOp) else type(node.op).__name__
        if kind in _WINDOWS:
            return True
        if kind in _ELEMENTWISE:
            found.update(node.outputs)
    return False


_WINDOWS = ("Conv", "AveragePool", "GlobalAveragePool", "MaxPool")
_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "LeakyRelu", "PRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh",
    "Erf", "Gelu", "Relu", "Clip", "LutS8", "PReluS8", "Quantize", "Dequantize",
)  # fmt: skip


def _softmax(edit: Edit, node: Node, op: OnnxOp, quantize: Node, to: Quantize) -> bool:
    found = int8_source(edit, node.inputs[0])
    if found is None:
        return False
    source, of = found
    axis = integer(op, "axis", -1)
    rows = open_rows(edit, node, source, axis)
    shape = edit.tensor(rows).shape
    result = edit.activation(f"{node.outputs[0]}.rows", shape, "int8",
                             edit.tensor(quantize.outputs[0]).quant)  # fmt: skip
    edit.emit(SoftmaxS8(of.scale, of.zp, to.scale, to.zp), [rows], [result], node, quantize)
    close_rows(edit, node, result, quantize.outputs[0], axis)
    return True


_LOWER: dict[str, Callable[[Edit, Node, OnnxOp, Node, Quantize], bool]] = {
    "Conv": lower_conv, "ConvTranspose": lower_transposed_s8, "Gemm": lower_gemm,
    "MatMul": lower_matmul, "Add": _binary, "Sub": _binary, "Mul": _binary, "Div": _binary,
    "PRelu": _prelu, "Erf": _unary, "Gelu": _unary, "LeakyRelu": _unary, "HardSwish": _unary,
    "HardSigmoid": _unary, "Sigmoid": _unary, "Tanh": _unary, "Relu": _unary, "Clip": _unary,
    "AveragePool": _pool, "GlobalAveragePool": _pool, "ReduceMean": _mean, "Softmax": _softmax,
}  # fmt: skip
