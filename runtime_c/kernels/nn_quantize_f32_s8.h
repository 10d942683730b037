/* SPDX-License-Identifier: MIT
 *
 * float32 to int8: y = clamp(rint(x / scale) + zp). A NaN becomes -128.
 */
#ifndef NN_QUANTIZE_F32_S8_H
#define NN_QUANTIZE_F32_S8_H

#include "nn_common.h"

NN_KERNEL void nn_quantize_f32_s8(int32_t count, float scale, int32_t zp, const float *x,
                                  int8_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = nn_quantize_s8(x[i] / scale, zp, -128, 127);
    }
}

#endif
