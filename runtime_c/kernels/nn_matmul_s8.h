/* SPDX-License-Identifier: MIT
 *
 * Matrix product of two activations, plain C. a[B,M,K], b[B,K,N], y[B,M,N]; one multiplier.
 */
#ifndef NN_MATMUL_S8_H
#define NN_MATMUL_S8_H

#include "nn_requant.h"

NN_KERNEL void nn_matmul_s8(int32_t batch, int32_t rows, int32_t depth, int32_t cols,
                            const nn_requant *q, int32_t b_zp, float multiplier,
                            const int8_t *restrict a, const int8_t *restrict b, int8_t *restrict y)
{
    const int32_t a_zp = q->in_zp;

    for (int32_t i = 0; i < batch; i++, b += depth * cols) {
        for (int32_t m = 0; m < rows; m++, a += depth) {
            for (int32_t n = 0; n < cols; n++) {
                int32_t acc = 0;
                for (int32_t k = 0; k < depth; k++) {
                    acc = nn_add_wrap(acc, (a[k] - a_zp) * (b[k * cols + n] - b_zp));
                }
                *y++ = nn_requant_s8(acc, multiplier, q);
            }
        }
    }
}

#endif
