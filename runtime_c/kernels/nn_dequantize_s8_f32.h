/* SPDX-License-Identifier: MIT
 *
 * int8 to float32: y = (x - zp) * scale.
 */
#ifndef NN_DEQUANTIZE_S8_F32_H
#define NN_DEQUANTIZE_S8_F32_H

#include "nn_common.h"

NN_KERNEL void nn_dequantize_s8_f32(int32_t count, float scale, int32_t zp, const int8_t *x,
                                    float *y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = (float)(x[i] - zp) * scale;
    }
}

#endif
