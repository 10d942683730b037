# SPDX-License-Identifier: MIT
"""GRU and LSTM in all the forms that are read, against ONNX Runtime; the others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from test_passes import RNG, Model, checked, kinds

from codegen.errors import UnsupportedError
from codegen.load import load
from codegen.passes import lower

STEPS, WIDTH, UNITS = 5, 4, 3
GATES = {"GRU": 3, "LSTM": 4}


def weights(m: Model, kind: str, directions: int) -> list[str]:
    rows = GATES[kind] * UNITS
    shapes = (directions, rows, WIDTH), (directions, rows, UNITS), (directions, 2 * rows)
    return [m.const(RNG.standard_normal(shape)) for shape in shapes]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", GATES)
@given(
    st.sampled_from(["forward", "reverse", "bidirectional"]), st.sampled_from([1, 1, 2]),
    st.booleans(), st.sampled_from(["none", "zero", "constant", "computed"]),
)  # fmt: skip
def test_recurrent_networks(
    tmp_path_factory: pytest.TempPathFactory, kind: str, last: bool, direction: str, batch: int,
    late: bool, start: str,
) -> None:  # fmt: skip
    directions = 2 if direction == "bidirectional" else 1
    m = Model([STEPS, batch, WIDTH])
    inputs = ["x", *weights(m, kind, directions)]
    shape = (directions, batch, UNITS)
    if start != "none":
        scale = 0.0 if start == "zero" else 1.0
        for _ in range(GATES[kind] - 2):
            state = m.const(RNG.standard_normal(shape) * scale)
            if start == "computed":
                zero = m.add("ReduceMean", m.add("Sub", "x", "x"), axes=[0, 1, 2], keepdims=0)
                state = m.add("Add", state, zero)
            inputs += ["", state] if len(inputs) == 4 else [state]
    attributes: dict[str, object] = {"hidden_size": UNITS, "direction": direction}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(late)
    outputs = ["", "end"] if last else ["all"]
    m.nodes.append(helper.make_node(kind, inputs, outputs, "cell", **attributes))
    m.add("Relu", outputs[-1], out="y")
    assert ("LstmF32" if kind == "LSTM" else "GruF32") in kinds(
        checked(m, tmp_path_factory.mktemp("model"))
    )


def test_a_state_is_kept_from_step_to_step_in_one_layer(tmp_path: Path) -> None:
    """However many steps: inputs first, for all steps at once; then one loop."""
    m = Model([60, 1, WIDTH])
    m.add("LSTM", "x", *weights(m, "LSTM", 1), hidden_size=UNITS, out="y")
    assert kinds(checked(m, tmp_path)) == ["DenseF32", "LstmF32"]


@pytest.mark.parametrize(
    ("kind", "attributes", "message"),
    [
        ("GRU", {"activations": ["Tanh", "Tanh"]}, "activations"),
        ("GRU", {"clip": 1.0}, "clip"),
        ("LSTM", {"input_forget": 1}, "input_forget"),
    ],
)
def test_other_cells_are_refused(
    tmp_path: Path, kind: str, attributes: dict[str, object], message: str
) -> None:
    m = Model([STEPS, 1, WIDTH])
    m.add(kind, "x", *weights(m, kind, 1), hidden_size=UNITS, out="y", **attributes)
    with pytest.raises(UnsupportedError, match=message):
        lower(load(m.save(tmp_path)))


def test_sequences_of_differing_length_are_refused(tmp_path: Path) -> None:
    m = Model([STEPS, 2, WIDTH])
    lengths = m.const([STEPS, STEPS - 1], "int32")
    m.add("GRU", "x", *weights(m, "GRU", 1), lengths, hidden_size=UNITS, out="y")
    with pytest.raises(UnsupportedError, match="differing lengths"):
        lower(load(m.save(tmp_path)))


def test_a_last_cell_state_is_refused(tmp_path: Path) -> None:
    m = Model([STEPS, 1, WIDTH])
    inputs = ["x", *weights(m, "LSTM", 1)]
    m.nodes.append(helper.make_node("LSTM", inputs, ["", "", "c"], "cell", hidden_size=UNITS))
    m.add("Relu", "c", out="y")
    with pytest.raises(UnsupportedError, match="cell state"):
        lower(load(m.save(tmp_path)))
