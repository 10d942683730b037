/* SPDX-License-Identifier: MIT
 *
 * Matrix product of two activations, plain C. a[B,M,K], b[B,K,N], y[B,M,N].
 */
#ifndef NN_MATMUL_F32_H
#define NN_MATMUL_F32_H

#include "nn_common.h"

NN_KERNEL void nn_matmul_f32(int32_t batch, int32_t rows, int32_t depth, int32_t cols, float lo,
                             float hi, const float *restrict a, const float *restrict b,
                             float *restrict y)
{
    for (int32_t i = 0; i < batch; i++, b += depth * cols) {
        for (int32_t m = 0; m < rows; m++, a += depth) {
            for (int32_t n = 0; n < cols; n++) {
                float acc = 0.0f;
                for (int32_t k = 0; k < depth; k++) {
                    acc += a[k] * b[k * cols + n];
                }
                *y++ = nn_clamp_f32(acc, lo, hi);
            }
        }
    }
}

#endif
