/* SPDX-License-Identifier: MIT
 *
 * Softmax on int8 over the last axis, as ONNX Runtime's QLinearSoftmax: integer exponentials from a table,
 * table[i] = exp((i - 255) * in_scale) scaled so that a row's sum fits 32 bits, looked up below the row's
 * maximum. x[M,K], y[M,K]; x and y may be the same array.
 */
#ifndef NN_SOFTMAX_S8_H
#define NN_SOFTMAX_S8_H

#include "nn_common.h"

NN_KERNEL void nn_softmax_s8(int32_t rows, int32_t cols, float out_scale, int32_t out_zp,
                             const uint32_t *restrict table, const int8_t *x, int8_t *y)
{
    for (int32_t m = 0; m < rows; m++, x += cols, y += cols) {
        int32_t largest = x[0];
        uint32_t sum = 0u;
        for (int32_t k = 1; k < cols; k++) {
            largest = x[k] > largest ? x[k] : largest;
        }
        for (int32_t k = 0; k < cols; k++) {
            sum += table[x[k] - largest + 255];
        }
        for (int32_t k = 0; k < cols; k++) {
            const float e = (float)table[x[k] - largest + 255];
            y[k] = nn_quantize_s8(e / (float)sum / out_scale, out_zp, -128, 127);
        }
    }
}

#endif
