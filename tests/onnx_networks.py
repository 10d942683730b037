# SPDX-License-Identifier: MIT
"""Random small ONNX networks, float or quantized, and what ONNX Runtime makes of them.

They hold what exporters write: any operator that we read, with or without quantizers around it,
Relu and Clip as nodes of their own, reshapes and transposes in between, several outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from hypothesis import assume, reject
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codegen.ir import Graph

Array = npt.NDArray[np.generic]
Draw = st.DrawFn


@dataclass
class Builder:
    """An ONNX graph in the making; `quantized` is "", "int8" or "uint8"."""

    draw: Draw
    quantized: str
    opset: int
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    count: int = 0
    integers: bool = False

    def fresh(self, hint: str) -> str:
        self.count += 1
        return f"{hint}_{self.count}"

    def constant(self, value: object, dtype: str = "float32") -> str:
        name = self.fresh("c")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attrs: object) -> str:
        name = self.fresh(kind.lower())
        self.nodes.append(helper.make_node(kind, inputs, [name], f"n/{name}", **attrs))
        self.shapes[name] = shape
        return name

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, *choices: object) -> object:
        return self.draw(st.sampled_from(choices))

    def weight(self, shape: tuple[int, ...], axis: int, fan_in: int) -> str:
        """A weight constant, behind DequantizeLinear when the graph is quantized."""
        real = self.rng.standard_normal(shape) / np.sqrt(fan_in)
        if not self.quantized:
            return self.constant(real)
        per_channel = self.pick(True, False)
        size = shape[axis] if per_channel else 1
        scale = (self.rng.uniform(0.5, 2.0, size) / (40 * np.sqrt(fan_in))).astype(np.float32)
        integers = self.rng.integers(-127, 128, shape)
        q = self.constant(integers, "int8")
        if not per_channel:
            point = self.constant(self.pick(0, 0, 11), "int8")
            return self.dequantize(q, self.constant(scale[0]), point, shape)
        zeros = self.constant(np.zeros(size), "int8")
        return self.dequantize(q, self.constant(scale), zeros, shape, axis=axis)

    def dequantize(
        self, q: str, scale: str, zero_point: str, shape: tuple[int, ...], **attrs: object
    ) -> str:
        return self.node("DequantizeLinear", [q, scale, zero_point], shape, **attrs)

    def bias(self, x: str, w: str, size: int) -> str:
        """A bias, with the accumulator's scale, which ONNX Runtime takes for granted."""
        if not self.quantized:
            return self.constant(self.rng.standard_normal(size))
        scales = np.float32(self.scale_of(x)) * np.atleast_1d(self.scale_of(w))
        integers = self.rng.integers(-2000, 2000, size)
        q = self.constant(integers, "int32")
        if scales.size == 1:
            zero = self.constant(0, "int32")
            return self.dequantize(q, self.constant(scales[0]), zero, (size,))
        zeros = self.constant(np.zeros(size), "int32")
        return self.dequantize(q, self.constant(scales), zeros, (size,), axis=0)

    def scale_of(self, name: str) -> Array:
        """The scale with which a tensor was dequantized."""
        maker = next(n for n in self.nodes if n.output[0] == name)
        if maker.op_type == "Flatten":
            return self.scale_of(maker.input[0])
        assert maker.op_type == "DequantizeLinear"
        return next(numpy_helper.to_array(c) for c in self.constants if c.name == maker.input[1])

    def settle(self, x: str, *, low: bool = False, scale: float = 0.0) -> str:
        """`x` through a QuantizeLinear and DequantizeLinear, where the graph is quantized."""
        if not self.quantized:
            return x
        step = self.constant(scale or self.integer(5, 100) * 0.001)
        floor = -128 if self.quantized == "int8" else 0
        point = floor if low else floor + self.integer(0, 255)
        zero_point = self.constant(point, self.quantized)
        q = self.node("QuantizeLinear", [x, step, zero_point], self.shapes[x])
        return self.dequantize(q, step, zero_point, self.shapes[x])

    def resettle(self, y: str, x: str) -> str:
        """`y` through the quantizer of `x`: what only moves values keeps its scale.

        With another scale ONNX Runtime would see two quantizers in a row and drop one, which
        changes results: nothing to imitate.
        """
        if not self.quantized:
            return y
        maker = next(n for n in self.nodes if n.output[0] == x)
        parameters = list(maker.input[1:])
        q = self.node("QuantizeLinear", [y, *parameters], self.shapes[y])
        return self.dequantize(q, *parameters, self.shapes[y])

    def activation(self, x: str) -> tuple[str, bool]:
        """Perhaps a Relu or Clip after an operator, and whether its quantizer must be unsigned."""
        kind = self.pick("", "", "Relu", "Clip")
        if kind == "Relu":
            return self.node("Relu", [x], self.shapes[x]), True
        if kind == "Clip":
            limits = [self.constant(0.0), self.constant(100.0)]
            return self.node("Clip", [x, *limits], self.shapes[x]), True
        return x, False


def conv(b: Builder, x: str) -> str:
    n, c, *size = b.shapes[x]
    rank = len(size)
    kernel = [b.integer(1, min(3, s)) for s in size]
    strides = [b.integer(1, 2) for _ in size]
    dilations = [
        b.integer(1, 2) if (k - 1) * 2 < s else 1 for k, s in zip(kernel, size, strict=True)
    ]
    depthwise = b.pick(True, False)
    out = c * b.integer(1, 2) if depthwise else b.integer(1, 6)
    groups = c if depthwise else 1
    attrs: dict[str, object] = {"kernel_shape": kernel, "strides": strides, "group": groups}
    auto_pad = b.pick("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    pads = [0] * (2 * rank)
    if auto_pad == "NOTSET":
        pads = [b.integer(0, 1) for _ in pads]
        attrs |= {"pads": pads, "dilations": dilations}
    else:
        dilations = [1] * rank
        attrs["auto_pad"] = auto_pad
    if str(auto_pad).startswith("SAME"):
        result = [-(-s // t) for s, t in zip(size, strides, strict=True)]
    else:
        result = [
            (s + pads[i] + pads[i + rank] - (k - 1) * d - 1) // t + 1
            for i, (s, k, d, t) in enumerate(zip(size, kernel, dilations, strides, strict=True))
        ]
    w = b.weight((out, c // groups, *kernel), 0, c // groups * prod(kernel))
    inputs = [x, w, b.bias(x, w, out)] if b.pick(True, False) else [x, w]
    y, low = b.activation(b.node("Conv", inputs, (n, out, *result), **attrs))
    return b.settle(y, low=low)


def transposed_conv(b: Builder, x: str) -> str:
    n, c, *size = b.shapes[x]
    rank = len(size)
    kernel = [b.integer(1, 4) for _ in size]
    strides = [b.integer(1, 3) for _ in size]
    dilations = [b.integer(1, 2) for _ in size]
    groups = c if b.pick(True, False, False) else 1
    each = b.integer(1, 2) if groups > 1 else b.integer(1, 5)
    attrs: dict[str, object] = {"strides": strides, "group": groups, "dilations": dilations}
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    whole = [t * (s - 1) + r for s, t, r in zip(size, strides, reach, strict=True)]
    pads = [b.integer(0, min(2, (w - 1) // 2)) for w in whole * 2]
    extra = [b.integer(0, t - 1) for t in strides]
    attrs |= {"pads": pads, "output_padding": extra}
    result = [w - pads[i] - pads[i + rank] + extra[i] for i, w in enumerate(whole)]
    out = groups * each
    w = b.weight((c, each, *kernel), 1, c // groups * prod(kernel))
    inputs = [x, w]
    if b.pick(True, False):
        one_scale = not b.quantized or groups == 1 or b.scale_of(w).size == 1
        inputs += [b.bias(x, w, out)] if one_scale else []
    y, low = b.activation(b.node("ConvTranspose", inputs, (n, out, *result), **attrs))
    return b.settle(y, low=low)


def layer_norm(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    axis = b.integer(1, len(shape) - 1)
    # Few columns are summed in another order, see FIDELITY.md; a variance near 0 magnifies it.
    if prod(shape[axis:]) < 8:
        return x
    inputs = [x, b.constant(b.rng.uniform(0.5, 1.5, shape[axis:]))]
    if b.pick(True, False):
        inputs.append(b.constant(b.rng.standard_normal(shape[axis:])))
    y = b.node("LayerNormalization", inputs, shape, axis=b.pick(axis, axis - len(shape)))
    return b.settle(y)


def pool(b: Builder, x: str) -> str:
    n, c, *size = b.shapes[x]
    if b.nodes and b.nodes[-1].op_type == "Pad":
        # ONNX Runtime would fold the Pad into the pool whatever its value, which changes results.
        x = b.node("Tanh", [x], b.shapes[x])
    kind = str(b.pick("MaxPool", "AveragePool"))
    kernel = [b.integer(1, min(3, s)) for s in size]
    strides = [b.integer(1, 3) for _ in size]
    pads = [b.integer(0, k - 1) for k in kernel * 2]
    result = [
        (s + pads[i] + pads[i + len(size)] - k) // t + 1
        for i, (s, k, t) in enumerate(zip(size, kernel, strides, strict=True))
    ]
    attrs: dict[str, object] = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if kind == "AveragePool":
        attrs["count_include_pad"] = b.integer(0, 1)
    y = b.node(kind, [x], (n, c, *result), **attrs)
    return b.resettle(y, x) if kind == "MaxPool" else b.settle(y)


def global_pool(b: Builder, x: str) -> str:
    n, c, *size = b.shapes[x]
    ones = (n, c, *[1] * len(size))
    # ReduceMean stays in float between quantizers, and its order of summation is ONNX Runtime's
    # own: see test_a_mean_left_in_float.
    if b.quantized or b.pick(True, False):
        return b.settle(b.node("GlobalAveragePool", [x], ones))
    return mean(b, x)


def mean(b: Builder, x: str) -> str:
    n, c, *size = b.shapes[x]
    ones = (n, c, *[1] * len(size))
    axes = list(range(2, 2 + len(size)))
    inputs, attrs = [x], {"axes": axes}
    if b.opset >= 18:
        inputs, attrs = [x, b.constant(axes, "int64")], {}
    if b.pick(True, False):
        return b.settle(b.node("ReduceMean", inputs, ones, **attrs))
    y = b.node("ReduceMean", inputs, (n, c), keepdims=0, **attrs)
    return b.settle(b.node("Reshape", [y, b.constant(ones, "int64")], ones))


def unary(b: Builder, x: str) -> str:
    kinds = ["Relu", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Clip"]
    kinds += ["PRelu", "Erf", "Div", "Gelu"] if b.opset >= 20 else ["PRelu", "Erf", "Div"]
    kind = str(b.pick(*kinds))
    inputs, attrs = [x], {}
    if kind == "PRelu":
        channels = (b.shapes[x][1], *[1] * (len(b.shapes[x]) - 2))
        slopes = b.rng.uniform(-0.5, 0.5, channels if b.pick(True, False) else (1,))
        inputs.append(b.constant(slopes))
    elif kind == "Div":
        inputs.append(b.constant(b.pick(0.3, 4.0, 7.0)))
        if b.pick(True, False):  # a chain of functions, as before Gelu had its own operator
            inputs = [b.node("Div", inputs, b.shapes[x])]
            kind = "Erf"
    elif kind == "Gelu":
        attrs = {"approximate": str(b.pick("none", "tanh"))}
    elif kind == "Clip":
        inputs += [b.constant(-1.0), b.constant(2.0)]
    elif kind in ("LeakyRelu", "HardSigmoid"):
        attrs = {"alpha": 0.3}
    y = b.node(kind, inputs, b.shapes[x], **attrs)
    return b.resettle(y, x) if kind in ("Relu", "Clip") else b.settle(y)


def binary(b: Builder, x: str, earlier: list[str]) -> str:
    kind = str(b.pick("Add", "Sub", "Mul"))
    same = [name for name in earlier if b.shapes[name] == b.shapes[x]]
    if b.pick(True, False):
        shape = (b.shapes[x][1], *[1] * (len(b.shapes[x]) - 2))
        other = b.weight(shape, 0, 1) if not b.quantized else per_tensor(b, shape)
    else:
        other = str(b.pick(*same))
    inputs = [x, other] if b.pick(True, False) else [other, x]
    return b.settle(b.node(kind, inputs, b.shapes[x]))


def per_tensor(b: Builder, shape: tuple[int, ...]) -> str:
    q = b.constant(b.rng.integers(-127, 128, shape), "int8")
    return b.dequantize(q, b.constant(0.02), b.constant(b.integer(-9, 9), "int8"), shape)


def move(b: Builder, x: str, earlier: list[str]) -> str:
    shape = b.shapes[x]
    n, c, *size = shape
    kind = b.pick(
        "Concat", "Slice", "Split", "Gather", "Pad", "Resize", "Transpose", "Reshape", "Unsqueeze"
    )  # fmt: skip
    if kind == "Concat":
        others = [o for o in earlier if b.shapes[o][:1] + b.shapes[o][2:] == (n, *size)]
        other = str(b.pick(*others))
        y = b.node("Concat", [x, other], (n, c + b.shapes[other][1], *size), axis=1)
    elif kind == "Slice":
        axis = b.integer(1, len(shape) - 1)
        start, step = b.integer(0, shape[axis] - 1), b.integer(1, 2)
        inputs = [b.constant([v], "int64") for v in (start, 2**31, axis, step)]
        length = -(-(shape[axis] - start) // step)
        y = b.node("Slice", [x, *inputs], (*shape[:axis], length, *shape[axis + 1 :]))
    elif kind == "Gather":
        axis = b.integer(1, len(shape) - 1)
        size = shape[axis]
        if b.pick(True, False):
            y = b.node("Gather", [x, b.constant(b.integer(-size, size - 1), "int64")],
                       (*shape[:axis], *shape[axis + 1 :]), axis=axis)  # fmt: skip
            y = b.node("Unsqueeze", [y, b.constant([axis], "int64")],
                       (*shape[:axis], 1, *shape[axis + 1 :]))  # fmt: skip
        else:
            places = [b.integer(-size, size - 1) for _ in range(b.integer(1, 4))]
            y = b.node("Gather", [x, b.constant(places, "int64")],
                       (*shape[:axis], len(places), *shape[axis + 1 :]), axis=axis)  # fmt: skip
    elif kind == "Split" and c > 1:
        first = b.integer(1, c - 1)
        names = [b.fresh("split"), b.fresh("split")]
        sizes = b.constant([first, c - first], "int64")
        b.nodes.append(helper.make_node("Split", [x, sizes], names, b.fresh("n/split"), axis=1))
        b.shapes |= {names[0]: (n, first, *size), names[1]: (n, c - first, *size)}
        y = b.node("Concat", names[::-1], shape, axis=1)
    elif kind == "Pad":
        pads = [0, 0, *(b.integer(0, 1) for _ in size)] * 2
        mode = str(b.pick("constant", "constant", "edge"))
        result = tuple(s + 2 * p for s, p in zip(shape, pads, strict=False))
        y = b.node("Pad", [x, b.constant(pads, "int64")], result, mode=mode)
    elif kind == "Resize" and len(size) == 2:
        scales = [1.0, 1.0, float(b.integer(1, 3)), float(b.integer(1, 2))]
        result = tuple(int(s * f) for s, f in zip(shape, scales, strict=True))
        frame = b.pick("asymmetric", "half_pixel", "align_corners")
        attrs = {
            "mode": "nearest",
            "coordinate_transformation_mode": frame,
            "nearest_mode": "floor",
        }
        y = b.node("Resize", [x, "", b.constant(scales)], result, **attrs)
    elif kind == "Transpose" and len(size) == 2:
        turned = b.node("Transpose", [x], (n, *size, c), perm=[0, 2, 3, 1])
        turned = b.node("Relu", [turned], b.shapes[turned]) if b.pick(True, False) else turned
        y = b.node("Transpose", [b.resettle(turned, x)], shape, perm=[0, 3, 1, 2])
    elif kind == "Unsqueeze":
        wide = b.node("Unsqueeze", [x, b.constant([2], "int64")], (n, c, 1, *size))
        y = b.node("Squeeze", [wide, b.constant([2], "int64")], shape)
    else:
        flat = b.node("Reshape", [x, b.constant([n, -1], "int64")], (n, prod(shape[1:])))
        y = b.node("Reshape", [b.resettle(flat, x), b.constant(shape, "int64")], shape)
    return b.settle(y) if kind == "Concat" else b.resettle(y, x)


def batch_norm(b: Builder, x: str) -> str:
    size = b.shapes[x][1]
    values = [b.constant(b.rng.uniform(0.5, 1.5, size)) for _ in range(4)]
    return b.node("BatchNormalization", [x, *values], b.shapes[x])


def head(b: Builder, x: str) -> str:
    """Flatten, a fully connected layer in one of its guises, perhaps Softmax."""
    n, k = b.shapes[x][0], prod(b.shapes[x][1:])
    x = b.node("Flatten", [x], (n, k))
    count = b.integer(1, 8)
    guise = b.pick("Gemm", "GemmT", "MatMul", "MatMulAdd", "none")
    if guise in ("Gemm", "GemmT"):
        transposed = int(guise == "GemmT")
        w = b.weight((count, k) if transposed else (k, count), 1 - transposed, k)
        y = b.node("Gemm", [x, w, b.bias(x, w, count)], (n, count), transB=transposed)
    elif guise in ("MatMul", "MatMulAdd"):
        w = b.weight((k, count), 1, k)
        y = b.node("MatMul", [x, w], (n, count))
        if guise == "MatMulAdd":
            y = b.node("Add", [y, b.bias(x, w, count)], (n, count))
    else:
        y, count = x, k
    y, low = b.activation(y) if guise != "none" else (y, False)
    y = b.settle(y, low=low)
    if count > 1 and b.pick(True, False):
        y = b.node("Softmax", [y], (n, count), axis=int(b.pick(True, False)) * 2 - 1)
        y = b.settle(y, low=True, scale=2.0 ** -b.integer(6, 8))
    return y


def product(b: Builder, x: str) -> str:
    """A product of two activations, as in attention."""
    n, c, *size = b.shapes[x]
    k = prod(size)
    left = b.node("Reshape", [x, b.constant([n, c, k], "int64")], (n, c, k))
    right = b.node("Transpose", [left], (n, k, c), perm=[0, 2, 1])
    y = b.settle(b.node("MatMul", [left, right], (n, c, c)))
    return b.resettle(b.node("Reshape", [y, b.constant([n, c, c, 1], "int64")], (n, c, c, 1)), y)


def enter(b: Builder, shape: tuple[int, ...]) -> str:
    """The first tensor: float x quantized, or x in integers already."""
    if not b.quantized or b.pick(True, False):
        return b.settle("x")
    b.integers = True
    point = b.constant(b.integer(0, 127), b.quantized)
    return b.dequantize("x", b.constant(0.02), point, shape)


@st.composite
def means(draw: Draw) -> tuple[bytes, tuple[int, ...]]:
    b = Builder(draw, "int8", 17, np.random.default_rng(0))
    shape = (1, *(b.integer(1, 9) for _ in range(3)))
    b.shapes["x"] = shape
    mean(b, enter(b, shape))
    return finish(b, shape)


@st.composite
def models(draw: Draw, quantized: str) -> tuple[bytes, tuple[int, ...]]:
    opset = draw(st.sampled_from([14, 17, 21, 23]))
    b = Builder(draw, quantized, opset, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    rank = draw(st.sampled_from([1, 2, 2, 2]))
    shape = (
        draw(st.sampled_from([1, 1, 2])),
        b.integer(1, 4),
        *(b.integer(1, 7) for _ in range(rank)),
    )
    b.shapes["x"] = shape
    x = enter(b, shape)
    earlier = [x]
    for _ in range(b.integer(1, 5)):
        step = b.pick(
            conv, conv, transposed_conv, pool, unary, binary, move, move, global_pool, batch_norm,
            layer_norm, product,
        )  # fmt: skip
        if step is product and len(b.shapes[x]) != 4:
            continue
        if step is batch_norm and quantized:
            continue
        if step is layer_norm and b.opset < 17:
            continue
        x = step(b, x, earlier) if step in (binary, move) else step(b, x)  # type: ignore[operator]
        assume(prod(b.shapes[x]) <= 4000)
        earlier.append(x)
    if b.pick(True, False):
        x = head(b, x)
    more = [name for name in earlier if name != x and b.integer(0, 4) == 0]
    return finish(b, shape, more)


def finish(
    b: Builder, shape: tuple[int, ...], more: Sequence[str] = ()
) -> tuple[bytes, tuple[int, ...]]:
    """The model that ends where `b` does, with `more` results on the way as outputs too."""
    outputs = [b.nodes[-1].output[0] if b.nodes else "x", *more]
    quantized = b.quantized
    if quantized:
        # End in integers, so that the comparison is of integers.
        makers = {n.output[0]: n for n in b.nodes}
        assert all(makers[name].op_type == "DequantizeLinear" for name in outputs)
        outputs = [makers[name].input[0] for name in outputs]
        b.nodes.pop()
    outputs = [name for name in dict.fromkeys(outputs) if name != "x" or not b.nodes]
    element = {"": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
    graph = helper.make_graph(
        b.nodes,
        "random",
        [helper.make_tensor_value_info("x", element[quantized if b.integers else ""], shape)],
        [helper.make_tensor_value_info(name, element[quantized], None) for name in outputs],
        b.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", b.opset)], ir_version=8)
    return model.SerializeToString(), shape


def runtime(path: Path) -> ort.InferenceSession:
    """ONNX Runtime with integer operators; rejects the example where it fails on its own work."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ort.capi.onnxruntime_pybind11_state.Fail:
        reject()  # its Pad fusion makes windows that it then finds invalid


def example(graph: Graph, shape: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(7)
    dtype = graph.tensors["x"].dtype
    if dtype == "float32":
        return rng.standard_normal(shape).astype(np.float32) * 2
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape).astype(dtype)
