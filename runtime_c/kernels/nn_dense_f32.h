/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer, plain C. x[M,K], w[N,K], y[M,N]; bias[N] may be NULL. Sums start from the bias.
 */
#ifndef NN_DENSE_F32_H
#define NN_DENSE_F32_H

#include "nn_common.h"

NN_KERNEL void nn_dense_f32(int32_t rows, int32_t depth, int32_t cols, float lo, float hi,
                            const float *restrict x, const float *restrict w,
                            const float *restrict bias, float *restrict y)
{
    for (int32_t m = 0; m < rows; m++, x += depth) {
        const float *tap = w;
        for (int32_t n = 0; n < cols; n++, tap += depth) {
            float acc = bias != NULL ? bias[n] : 0.0f;
            for (int32_t k = 0; k < depth; k++) {
                acc += x[k] * tap[k];
            }
            *y++ = nn_clamp_f32(acc, lo, hi);
        }
    }
}

#endif
