/* SPDX-License-Identifier: MIT
 *
 * Softmax on int8 over the last axis, as ONNX Runtime's QLinearSoftmax: exponentials in float32 from a
 * table, table[255 - d] for a distance d below the row's maximum, summed from the left; `levels` is
 * floor(1 / out_scale). Where that overflows the product, the result is -128, as there.
 * x[M,K], y[M,K]; x and y may be the same array.
 */
#ifndef NN_SOFTMAX_S8_H
#define NN_SOFTMAX_S8_H

#include "nn_common.h"

NN_KERNEL void nn_softmax_s8(int32_t rows, int32_t cols, float levels, int32_t out_zp,
                             const float *restrict table, const int8_t *x, int8_t *y)
{
    for (int32_t m = 0; m < rows; m++, x += cols, y += cols) {
        int32_t largest = x[0];
        float sum = 0.0f;
        for (int32_t k = 1; k < cols; k++) {
            largest = x[k] > largest ? x[k] : largest;
        }
        for (int32_t k = 0; k < cols; k++) {
            sum += table[x[k] - largest + 255];
        }
        for (int32_t k = 0; k < cols; k++) {
            const float level = table[x[k] - largest + 255] * levels / sum;
            y[k] = level <= FLT_MAX ? nn_quantize_s8(level, out_zp, -128, 127) : (int8_t)-128;
        }
    }
}

#endif
