/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer, plain C. x[M,K], w[N,K], y[M,N]; bias[N] and w_zp[N] may be NULL.
 */
#ifndef NN_DENSE_S8_H
#define NN_DENSE_S8_H

#include "nn_requant.h"

NN_KERNEL void nn_dense_s8(int32_t rows, int32_t depth, int32_t cols, const nn_requant *q,
                           const int8_t *restrict x, const int8_t *restrict w,
                           const int32_t *restrict bias, const int32_t *restrict w_zp,
                           const float *restrict multiplier, int8_t *restrict y)
{
    const int32_t in_zp = q->in_zp;

    for (int32_t m = 0; m < rows; m++, x += depth) {
        const int8_t *tap = w;
        for (int32_t n = 0; n < cols; n++, tap += depth) {
            const int32_t zp = w_zp != NULL ? w_zp[n] : 0;
            const int32_t start = bias != NULL ? bias[n] : 0;
            const int32_t acc = nn_inner_s8(start, depth, x, in_zp, tap, zp);
            *y++ = nn_requant_s8(acc, multiplier[n * q->per_channel], q);
        }
    }
}

#endif
