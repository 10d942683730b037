# SPDX-License-Identifier: MIT
"""How often int8 outputs differ where ONNX Runtime computes in float what we compute otherwise.

    python benchmarks/left_in_float.py

For each operator, with random scales and with round ones (on which ties abound): the largest
difference in LSB, and how many outputs differ. FIDELITY.md quotes the figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from codegen.ir import Array
from codegen.load import load
from codegen.oracle import run
from codegen.passes import lower
from simharness.check import ort_session

NETWORKS = 60
ROUND = (0.01, 0.02, 0.05, 0.1, 0.2)

Scale = Callable[[], float]
Case = tuple[Sequence[onnx.NodeProto], Mapping[str, Array], tuple[int, ...], float]
"""Nodes from "xf" to "yf", constants, the input's shape, and the output's scale."""


def transposed_conv(rng: np.random.Generator, scale: Scale) -> Case:
    """Eight channels, a kernel of 3x3, stride 2."""
    w = rng.integers(-127, 128, (8, 8, 3, 3)).astype(np.int8)
    constants = {"w": w, "ws": np.array(scale(), np.float32), "wz": np.array(0, np.int8)}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
        helper.make_node("ConvTranspose", ["xf", "wf"], ["yf"], strides=[2, 2]),
    ]
    return nodes, constants, (4, 8, 10, 10), 20 * scale()


def layer_norm(columns: int, rng: np.random.Generator, scale: Scale) -> Case:
    constants = {
        "s": rng.uniform(0.5, 1.5, columns).astype(np.float32),
        "b": rng.standard_normal(columns).astype(np.float32),
    }
    nodes = [helper.make_node("LayerNormalization", ["xf", "s", "b"], ["yf"])]
    return nodes, constants, (14_000 // columns, columns), scale()


def differences(case: Case, in_scale: float, rng: np.random.Generator) -> Array:
    """|ours - ONNX Runtime's| for one random input."""
    nodes, constants, shape, out_scale = case
    values = {
        "xs": np.array(in_scale, np.float32), "xz": np.array(3, np.int8),
        "ys": np.array(out_scale, np.float32), "yz": np.array(1, np.int8), **constants,
    }  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]),
            *nodes,
            helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["y"]),
        ],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.INT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT8, None)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    x = rng.integers(-128, 128, shape).astype(np.int8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        path.write_bytes(content)
        ours = run(lower(load(path)), {"x": x})["y"]
    theirs = np.asarray(ort_session(content).run(None, {"x": x})[0])
    return np.asarray(np.abs(ours.astype(np.int32) - theirs.astype(np.int32)))


CASES: Mapping[str, Callable[[np.random.Generator, Scale], Case]] = {
    "ConvTranspose": transposed_conv,
    **{f"LayerNormalization of {n}": partial(layer_norm, n) for n in (4, 7, 8, 16, 28, 100)},
}


def main() -> None:
    print(f"{'operator':25} {'scales':7} {'outputs':>9} {'differ':>7} {'rate':>9}  largest")
    for name, make in CASES.items():
        for kind in ("random", "round"):
            found = []
            for seed in range(NETWORKS):
                rng = np.random.default_rng(seed)

                def scale(rng: np.random.Generator = rng, kind: str = kind) -> float:
                    free = np.exp(rng.uniform(np.log(ROUND[0]), np.log(ROUND[-1])))
                    return float(free if kind == "random" else rng.choice(ROUND))

                found.append(differences(make(rng, scale), scale(), rng).reshape(-1))
            all_ = np.concatenate(found)
            wrong = int((all_ > 0).sum())
            rate = f"{wrong / all_.size:.4%}"
            print(f"{name:25} {kind:7} {all_.size:9,} {wrong:7,} {rate:>9}  {all_.max()} LSB")


if __name__ == "__main__":
    main()
