/* SPDX-License-Identifier: MIT
 *
 * The states y[T,H] of a GRU: g[T,3H] is what inputs and biases give to the gates z, r, h; r[3H,H] are the
 * recurrent weights; start[H] may be NULL, for zeros. If late[H] is not NULL, the reset gate multiplies
 * r_h * h + late, else h; scratch holds 2 H floats.
 */
#ifndef NN_GRU_F32_H
#define NN_GRU_F32_H

#include "nn_recurrent_f32.h"

NN_KERNEL void nn_gru_f32(int32_t steps, int32_t units, const float *restrict g,
                          const float *restrict r, const float *restrict late,
                          const float *start, float *y, void *restrict scratch)
{
    float *const state = (float *)scratch;
    float *const seen = state + units;

    for (int32_t j = 0; j < units; j++) {
        state[j] = start != NULL ? start[j] : 0.0f;
    }
    for (int32_t t = 0; t < steps; t++, g += 3 * units, y += units) {
        for (int32_t j = 0; j < units; j++) {
            const int32_t row = units + j;
            const float gate = nn_sigmoid_f32(g[row] + nn_recurrent_sum(units, row, r, state));
            seen[j] = late != NULL ? gate : gate * state[j];
        }
        for (int32_t j = 0; j < units; j++) {
            const int32_t row = 2 * units + j;
            const float z = nn_sigmoid_f32(g[j] + nn_recurrent_sum(units, j, r, state));
            const float inner =
                late != NULL ? seen[j] * (nn_recurrent_sum(units, row, r, state) + late[j])
                             : nn_recurrent_sum(units, row, r, seen);
            y[j] = (1.0f - z) * nn_tanh_f32(g[row] + inner) + z * state[j];
        }
        for (int32_t j = 0; j < units; j++) {
            state[j] = y[j];
        }
    }
}

#endif
