/* SPDX-License-Identifier: MIT
 *
 * Where each row is largest: the first such place, or the last. x[M,K], y[M].
 */
#ifndef NN_ARGMAX_F32_H
#define NN_ARGMAX_F32_H

#include "nn_common.h"

NN_KERNEL void nn_argmax_f32(int32_t rows, int32_t cols, int32_t last, const float *restrict x,
                             int64_t *restrict y)
{
    for (int32_t m = 0; m < rows; m++, x += cols) {
        int32_t best = 0;
        for (int32_t k = 1; k < cols; k++) {
            if (x[k] > x[best] || (last != 0 && x[k] == x[best])) {
                best = k;
            }
        }
        y[m] = best;
    }
}

#endif
