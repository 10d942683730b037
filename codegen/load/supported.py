# SPDX-License-Identifier: MIT
"""Which ONNX operators have a lowering, and which only may appear where they fold to constants."""

from __future__ import annotations

from typing import Final

SUPPORTED: Final = frozenset({
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose",
    "DequantizeLinear", "Div", "Dropout", "Erf", "Flatten", "GRU", "Gather", "Gelu", "Gemm",
    "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "LSTM", "LayerNormalization",
    "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "Mul", "PRelu", "Pad", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid",
    "Slice", "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators of the ONNX domain that may act on activations."""

FIRST_OPSET: Final = 13
"""The oldest opset read: from here on Softmax, Squeeze and DequantizeLinear mean the same."""

MAX_TENSOR_BYTES: Final = 1 << 28
"""No microcontroller holds a tensor beyond 256 MiB; a hostile file must not fill the memory."""
