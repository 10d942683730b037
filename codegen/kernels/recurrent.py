# SPDX-License-Identifier: MIT
"""GRU and LSTM: loops over time steps, with the running state in scratch."""

from __future__ import annotations

from codegen.ir import Graph, Node
from codegen.kernels.base import Call
from codegen.kernels.reference import Reference, constant_input, in_and_out, is_op, optional
from codegen.ops import GruF32, LstmF32


def _recurrent(kernel: str, node: Node, graph: Graph) -> Call:
    """Inputs 2 and 3 may be constants, activations or absent."""
    steps, units = in_and_out(node, graph)[1].shape
    constants, r = optional("r", "float", constant_input(node, graph, 1))
    names: list[str] = []
    activations = 1  # x0 is what the inputs give
    for place, name in enumerate(node.inputs[2:], 2):
        if name and graph.tensors[name].data is None:
            names.append(f"x{activations}")
            activations += 1
        else:
            more, text = optional(f"input{place}", "float", constant_input(node, graph, place))
            constants += more
            names.append(text)
    body = f"{kernel}({steps}, {units}, x0, {r}, {', '.join(names)}, y0, scratch);"
    return Call((f"{kernel}.h",), constants, body)


def gru_f32(node: Node, graph: Graph) -> Call:
    return _recurrent("nn_gru_f32", node, graph)


def lstm_f32(node: Node, graph: Graph) -> Call:
    return _recurrent("nn_lstm_f32", node, graph)


def _two_states(node: Node, graph: Graph) -> int:
    return 2 * 4 * in_and_out(node, graph)[1].shape[1]


REFERENCES = (
    Reference("nn_gru_f32", is_op(GruF32), gru_f32, scratch=_two_states),
    Reference("nn_lstm_f32", is_op(LstmF32), lstm_f32, scratch=_two_states),
)
