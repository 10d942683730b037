/* SPDX-License-Identifier: MIT
 *
 * The states y[T,H] of an LSTM: g[T,4H] is what inputs and biases give to the gates i, o, f, c; r[4H,H] are
 * the recurrent weights; start[H] and cell_start[H] may be NULL, for zeros; scratch holds 2 H floats.
 */
#ifndef NN_LSTM_F32_H
#define NN_LSTM_F32_H

#include "nn_recurrent_f32.h"

NN_KERNEL void nn_lstm_f32(int32_t steps, int32_t units, const float *restrict g,
                           const float *restrict r, const float *start, const float *cell_start,
                           float *y, void *restrict scratch)
{
    float *const state = (float *)scratch;
    float *const cell = state + units;

    for (int32_t j = 0; j < units; j++) {
        state[j] = start != NULL ? start[j] : 0.0f;
        cell[j] = cell_start != NULL ? cell_start[j] : 0.0f;
    }
    for (int32_t t = 0; t < steps; t++, g += 4 * units, y += units) {
        for (int32_t j = 0; j < units; j++) {
            const int32_t o = units + j, f = 2 * units + j, c = 3 * units + j;
            const float enter = nn_sigmoid_f32(g[j] + nn_recurrent_sum(units, j, r, state));
            const float leave = nn_sigmoid_f32(g[o] + nn_recurrent_sum(units, o, r, state));
            const float keep = nn_sigmoid_f32(g[f] + nn_recurrent_sum(units, f, r, state));
            const float fresh = nn_tanh_f32(g[c] + nn_recurrent_sum(units, c, r, state));
            cell[j] = keep * cell[j] + enter * fresh;
            y[j] = leave * nn_tanh_f32(cell[j]);
        }
        for (int32_t j = 0; j < units; j++) {
            state[j] = y[j];
        }
    }
}

#endif
