# SPDX-License-Identifier: MIT
"""Published networks come out lean: exactly these operators, none that the exporter left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from codegen.ir import Graph
from codegen.load import load
from codegen.ops import BinaryF32, BinaryS8, ConvF32, ConvS8, DenseF32, DenseS8, View
from codegen.passes import lower


def census(graph: Graph) -> dict[str, int]:
    """How often each operator that costs code occurs."""
    return dict(Counter(type(n.op).__name__ for n in graph.nodes if not isinstance(n.op, View)))


CENSUS = {
    "mlperf_ic_resnet8_int8": {
        "ConvS8": 9, "BinaryS8": 3, "AvgPoolS8": 1, "DenseS8": 1, "SoftmaxS8": 1,
    },
    "mlperf_kws_dscnn_int8": {"ConvS8": 9, "AvgPoolS8": 1, "DenseS8": 1, "SoftmaxS8": 1},
    "mlperf_vww_mbv1_int8": {"ConvS8": 27, "AvgPoolS8": 1, "DenseS8": 1, "SoftmaxS8": 1},
    "mlperf_ad_fcae_int8": {"DenseS8": 10},
    "mlperf_ic_resnet8_fp32": {
        "ConvF32": 9, "BinaryF32": 3, "AvgPoolF32": 1, "DenseF32": 1, "SoftmaxF32": 1,
    },
    "mlperf_kws_dscnn_fp32": {"ConvF32": 9, "AvgPoolF32": 1, "DenseF32": 1, "SoftmaxF32": 1},
    "mlperf_vww_mbv1_fp32": {"ConvF32": 27, "AvgPoolF32": 1, "DenseF32": 1, "SoftmaxF32": 1},
    "mlperf_ad_fcae_fp32": {"DenseF32": 10},
    "mcunet_in3_int8": {"ConvS8": 55, "BinaryS8": 11, "AvgPoolS8": 1},
    "mcunet_vww1_int8": {
        "Quantize": 1, "ConvS8": 45, "BinaryS8": 8, "AvgPoolS8": 2, "DenseS8": 1, "Dequantize": 1,
    },
    "mnist_lenet300_int8": {"Quantize": 1, "DenseS8": 3, "Dequantize": 1, "SoftmaxF32": 1},
    "tflm_hello_world_int8": {"DenseS8": 3},
}  # fmt: skip

EXTRA = {
    # A channels-first file must be turned at the border, unless it has but one channel.
    "mlperf_ic_resnet8_int8_nchw": {"Transpose": 1},
    "mlperf_vww_mbv1_int8_nchw": {"Transpose": 1},
    "mlperf_ic_resnet8_fp32_nchw": {"Transpose": 1},
    "mlperf_vww_mbv1_fp32_nchw": {"Transpose": 1},
    "mcunet_in3_int8_nchw": {"Transpose": 1},
    "mcunet_vww1_int8_nchw": {"Transpose": 1},
    # The converter's file gives its output another scale than the classifier has.
    "mcunet_in3_int8": {"LutS8": 1},
}

NCHW = ["ic_resnet8_int8", "kws_dscnn_int8", "vww_mbv1_int8",
        "ic_resnet8_fp32", "kws_dscnn_fp32", "vww_mbv1_fp32"]  # fmt: skip
FILES = [
    *CENSUS,
    *(f"mlperf_{n}_nchw" for n in NCHW),
    "mcunet_in3_int8_nchw",
    "mcunet_vww1_int8_nchw",
]


@pytest.mark.parametrize("name", FILES)
def test_census(shared_models: Path, name: str) -> None:
    expected = CENSUS[name.removesuffix("_nchw")] | EXTRA.get(name, {})
    assert census(lower(load(shared_models / f"{name}.onnx"))) == expected


@pytest.mark.parametrize(
    "name", ["mlperf_ic_resnet8_int8", "mlperf_kws_dscnn_int8", "mlperf_vww_mbv1_int8"]
)
def test_both_layouts_become_the_same_network(shared_models: Path, name: str) -> None:
    def shapes(file: str) -> list[tuple[tuple[int, ...], ...]]:
        graph = lower(load(shared_models / file))
        weighty = ConvS8 | ConvF32 | DenseS8 | DenseF32 | BinaryS8 | BinaryF32
        return [
            tuple(graph.tensors[t].shape for t in (*node.inputs, *node.outputs))
            for node in graph.nodes
            if isinstance(node.op, weighty)
        ]

    assert shapes(f"{name}.onnx") == shapes(f"{name}_nchw.onnx")


def test_clamps_pads_and_multipliers_are_in_the_convolutions(shared_models: Path) -> None:
    graph = lower(load(shared_models / "mcunet_in3_int8.onnx"))
    first = graph.nodes[0].op
    assert isinstance(first, ConvS8)
    assert first.window.pads == (1, 1, 1, 1) and first.window.strides == (2, 2)
    assert first.requant.multiplier.min() < 0  # this file has negative weight scales
    depthwise = [n.op for n in graph.nodes if isinstance(n.op, ConvS8) and n.op.groups > 1]
    assert len(depthwise) == 18
    assert all(sum(op.window.pads) for op in depthwise)


def test_names_of_nodes_are_unique_and_lead_back_to_the_file(shared_models: Path) -> None:
    graph = load(shared_models / "mlperf_vww_mbv1_int8.onnx")
    known = {node.name for node in graph.nodes}
    lowered = lower(graph)
    names = [node.name for node in lowered.nodes]
    assert len(set(names)) == len(names)
    for node in lowered.nodes:
        assert set(node.origin) <= known
        assert node.origin or isinstance(node.op, View)
