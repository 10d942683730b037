# SPDX-License-Identifier: MIT
"""GRU and LSTM, step by step; float32 sums are rounded once, as in `codegen.oracle.linear`."""

from __future__ import annotations

import numpy as np

from codegen.ir import F32, Array
from codegen.ops import GruF32, LstmF32
from codegen.oracle.mlas import logistic, tanh

Shape = tuple[int, ...]


def _times(weights: Array, values: Array) -> F32:
    return (weights.astype(np.float64) @ values.astype(np.float64)).astype(np.float32)


def _start(given: Array | None, units: int) -> F32:
    return np.zeros(units, np.float32) if given is None else given.astype(np.float32).reshape(-1)


def gru_f32(
    op: GruF32, shape: Shape, g: Array, r: Array, late: Array | None, start: Array | None
) -> F32:
    units = shape[1]
    state, states = _start(start, units), np.empty(shape, np.float32)
    for step, given in enumerate(g.astype(np.float32)):
        gates = logistic(given[: 2 * units] + _times(r[: 2 * units], state))
        update, reset = gates[:units], gates[units:]
        if late is not None:
            inner = reset * (_times(r[2 * units :], state) + late.astype(np.float32))
        else:
            inner = _times(r[2 * units :], reset * state)
        fresh = tanh(given[2 * units :] + inner)
        states[step] = state = (np.float32(1) - update) * fresh + update * state
    return states


def lstm_f32(
    op: LstmF32, shape: Shape, g: Array, r: Array, start: Array | None, cell_start: Array | None
) -> F32:
    units = shape[1]
    state, cell = _start(start, units), _start(cell_start, units)
    states = np.empty(shape, np.float32)
    for step, given in enumerate(g.astype(np.float32)):
        sums = given + _times(r, state)
        enter, leave, keep = logistic(sums[: 3 * units]).reshape(3, units)
        cell = keep * cell + enter * tanh(sums[3 * units :])
        states[step] = state = leave * tanh(cell)
    return states
