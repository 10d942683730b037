/* SPDX-License-Identifier: MIT
 *
 * Softmax, or its logarithm, over the last axis. x[M,K], y[M,K].
 */
#ifndef NN_SOFTMAX_F32_H
#define NN_SOFTMAX_F32_H

#include "nn_math_f32.h"

NN_KERNEL void nn_softmax_f32(int32_t rows, int32_t cols, int32_t log, const float *restrict x,
                              float *restrict y)
{
    for (int32_t m = 0; m < rows; m++, x += cols, y += cols) {
        float largest = x[0];
        float sum = 0.0f;
        for (int32_t k = 1; k < cols; k++) {
            largest = x[k] > largest ? x[k] : largest;
        }
        for (int32_t k = 0; k < cols; k++) {
            const float shifted = x[k] - largest;
            const float e = nn_exp_f32(shifted);
            sum += e;
            y[k] = log != 0 ? shifted : e;
        }
        if (log != 0) {
            const float offset = nn_log_f32(sum);
            for (int32_t k = 0; k < cols; k++) {
                y[k] -= offset;
            }
        } else {
            for (int32_t k = 0; k < cols; k++) {
                y[k] /= sum;
            }
        }
    }
}

#endif
