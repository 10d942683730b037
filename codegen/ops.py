# SPDX-License-Identifier: MIT
"""The lowered operators: each carries all that a kernel needs besides the shapes of its tensors.

Activations are int8 or float32; `x`, `w`, `b` below are node inputs in that order.
`multiplier` is float32 and computed exactly as ONNX Runtime's fused integer operators compute it.
`lo`/`hi` are the fused activation's clamp, in output integers (int8) or reals (float32; none is
+-inf).

int8 semantics, everywhere: `y = clamp(rint(f32(acc) * multiplier) + out_zp, lo, hi)` with
`f32(acc)` the nearest float32 of the int32 accumulator, one float32 product, round half to even.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codegen.ir import F32, I32

INF = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A sliding window over H, W. 1-D operators have H = 1. `pads`: top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Requant:
    """How an int32 accumulator becomes int8. `multiplier` has shape (C_out,) or (1,)."""

    multiplier: F32
    in_zp: int
    out_zp: int
    lo: int = -128
    hi: int = 127


@dataclass(frozen=True, slots=True, eq=False)
class ConvS8:
    """x[N,H,W,Ci] int8, w[Co,Kh,Kw,Ci/groups] int8, b[Co] int32 -> y[N,Ho,Wo,Co] int8.

    `acc = b + sum((x - in_zp) * (w - w_zp))`; padding contributes x = in_zp, that is, nothing.
    `w_zp` has shape (Co,) and is None when all zero. Depthwise is groups == Ci.
    """

    window: Window
    groups: int
    requant: Requant
    w_zp: I32 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ConvF32:
    """As ConvS8 in float32, with clamp."""

    window: Window
    groups: int
    lo: float = -INF
    hi: float = INF


@dataclass(frozen=True, slots=True, eq=False)
class DenseS8:
    """x[M,K] int8, w[N,K] int8 constant, b[N] int32 -> y[M,N] int8; `w_zp` as in ConvS8."""

    requant: Requant
    w_zp: I32 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DenseF32:
    """x[M,K], w[N,K] constant, b[N] -> y[M,N] float32, with clamp."""

    lo: float = -INF
    hi: float = INF


@dataclass(frozen=True, slots=True, eq=False)
class MatMulS8:
    """a[B,M,K] int8, b[B,K,N] int8 (both activations) -> y[B,M,N] int8. `requant.in_zp` is a's."""

    requant: Requant
    b_zp: int


@dataclass(frozen=True, slots=True, eq=False)
class MatMulF32:
    """a[B,M,K], b[B,K,N] float32 (both activations) -> y[B,M,N] float32, with clamp."""

    lo: float = -INF
    hi: float = INF


BinaryKind = Literal["add", "sub", "mul"]


@dataclass(frozen=True, slots=True, eq=False)
class BinaryS8:
    """Element-wise on int8 with numpy broadcasting (rank at most 4); either input may be constant.

    Scales are kept whole because ONNX Runtime's QLinearAdd, QLinearMul and its float fallback (Sub)
    each order their float32 operations in their own way: see `codegen.oracle`. `unsigned` says that
    the file's integers are uint8: add and mul take zero points (and add its inputs) into float32 as
    there, that is, 128 higher.
    """

    kind: BinaryKind
    a_scale: float
    a_zp: int
    b_scale: float
    b_zp: int
    out_scale: float
    out_zp: int
    lo: int = -128
    hi: int = 127
    unsigned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ConvAddS8:
    """x, w, b as in ConvS8, r[N,Ho,Wo,Co] int8 -> y[N,Ho,Wo,Co] int8: r and the convolution's
    output, which is rounded to its own int8 first, added up.

    `add` does not broadcast; `place` tells which of its inputs the convolution makes (0: a, 1: b).
    """

    conv: ConvS8
    add: BinaryS8
    place: Literal[0, 1]


@dataclass(frozen=True, slots=True, eq=False)
class PReluS8:
    """x int8, slope float32 constant -> int8: x, or x * slope where x is not positive.

    The slope broadcasts over x as in numpy (rank at most 4). Computed in float32 between
    Dequantize and Quantize, as ONNX Runtime does.
    """

    in_scale: float
    in_zp: int
    out_scale: float
    out_zp: int
    lo: int = -128
    hi: int = 127


FloatBinaryKind = Literal["add", "sub", "mul", "div", "prelu"]


@dataclass(frozen=True, slots=True, eq=False)
class BinaryF32:
    """Element-wise on float32 with numpy broadcasting (rank at most 4), with clamp.

    prelu: a, or a * b where a is not positive.
    """

    kind: FloatBinaryKind
    lo: float = -INF
    hi: float = INF


@dataclass(frozen=True, slots=True, eq=False)
class LutS8:
    """y = table[x + 128]: every unary operator on int8 (activations, requantization, clip).

    Input 0 is x int8; the table is int8 of shape (256,), input 1, a constant. `kind` names its
    origin.
    """

    kind: str


UnaryKind = Literal[
    "clip", "leakyrelu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "erf", "gelu", "gelu_tanh"
]


@dataclass(frozen=True, slots=True, eq=False)
class UnaryF32:
    """Element-wise float32. clip: (lo, hi); leakyrelu: (alpha, _); hardsigmoid: (alpha, beta)."""

    kind: UnaryKind
    p0: float = 0.0
    p1: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool:
    """x[N,H,W,C] int8 or float32 -> same type; padding never wins."""

    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class AvgPoolS8:
    """x[N,H,W,C] int8 -> int8. `form` says whose arithmetic it is: see `codegen.oracle`.

    "window": QLinearAveragePool; "global": QLinearGlobalAveragePool; "mean": float mean between
    DQ and Q.
    "packed": such a mean over windows as wide as the image, whose elements lie side by side in the
    file's layout: ONNX Runtime then sums in four lanes, and where they start depends on the
    channel.
    `unsigned` as in BinaryS8, for "window".
    """

    window: Window
    count_include_pad: bool
    form: Literal["window", "global", "mean", "packed"]
    in_scale: float
    in_zp: int
    out_scale: float
    out_zp: int
    lo: int = -128
    hi: int = 127
    unsigned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AvgPoolF32:
    """x[N,H,W,C] float32 -> float32, with clamp."""

    window: Window
    count_include_pad: bool
    lo: float = -INF
    hi: float = INF


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxS8:
    """x[M,K] int8 -> y[M,K] int8 over the last axis; QLinearSoftmax arithmetic
    (`codegen.oracle`)."""

    in_scale: float
    in_zp: int
    out_scale: float
    out_zp: int


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxF32:
    """x[M,K] float32 -> softmax (or log-softmax) over the last axis."""

    log: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LayerNormF32:
    """x[M,K], scale[K], bias[K] or none -> y[M,K] float32: rows of mean 0 and variance 1, scaled.

    `epsilon` is added to the variance.
    """

    epsilon: float


@dataclass(frozen=True, slots=True, eq=False)
class GruF32:
    """g[T,3H], r[3H,H] constant, late[H] constant or none, h0[1,H] or none -> y[T,H]: the states.

    g is what inputs and biases give to the gates z, r, h (update, reset, new). Where there is a
    `late` bias, the reset gate multiplies r_h @ h + late (ONNX's linear_before_reset), else h.
    """


@dataclass(frozen=True, slots=True, eq=False)
class LstmF32:
    """g[T,4H], r[4H,H] constant, h0[1,H] and c0[1,H], either or none -> y[T,H]: the states.

    g is what inputs and biases give to the gates i, o, f, c (input, output, forget, cell).
    """


@dataclass(frozen=True, slots=True, eq=False)
class ArgMax:
    """x[M,K] int8 or float32 -> y[M] int64: where each row is largest, first or `last`."""

    last: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Quantize:
    """float32 -> int8: `clamp(rint(x / scale) + zp)`, scale per tensor.

    `unsigned` only remembers that the file has uint8 here: see BinaryS8.
    """

    scale: float
    zp: int
    unsigned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Dequantize:
    """int8 -> float32: `f32(x - zp) * scale`, scale per tensor; `unsigned` as in Quantize."""

    scale: float
    zp: int
    unsigned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FlipSign:
    """uint8 <-> int8 at the graph's border: y = x ^ 0x80. The only operator that sees uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Same bytes, other shape (Reshape, Flatten, Squeeze...): an alias, no code."""


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Same bytes, moved: a graph output that is a view of an input, and the like."""


@dataclass(frozen=True, slots=True, eq=False)
class Transpose:
    """y = x transposed by `perm` (rank at most 6)."""

    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Concat:
    """All inputs share type, scale and zero point (differing ones get a LutS8 before)."""

    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """`starts`, `steps` per axis of x; the extent is y's shape. Split lowers to one per output."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pad:
    """`before`/`after` per axis. `value` is an int8 integer or a float; modes as in ONNX."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: Literal["constant", "reflect", "edge"] = "constant"
    value: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Resize:
    """Nearest neighbour on x[N,H,W,C]; `rows`, `cols` give the source index of each output row,
    column."""

    rows: tuple[int, ...]
    cols: tuple[int, ...]


Op = (
    ConvS8 | ConvF32 | DenseS8 | DenseF32 | MatMulS8 | MatMulF32 | BinaryS8 | BinaryF32
    | ConvAddS8 | PReluS8 | LutS8 | UnaryF32 | MaxPool | AvgPoolS8 | AvgPoolF32
    | SoftmaxS8 | SoftmaxF32 | LayerNormF32 | GruF32 | LstmF32 | ArgMax | Quantize | Dequantize
    | FlipSign | View | Copy | Transpose | Concat | Slice | Pad | Resize
)  # fmt: skip
