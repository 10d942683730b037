/* SPDX-License-Identifier: MIT
 *
 * float32 to int8 for cores without an FPU: y + 128 is the number of `thresholds` (255, ascending) that x reaches.
 * Floats are compared as integers that order as they do. A NaN becomes -128. y may start where x does.
 */
#ifndef NN_QUANTIZE_F32_S8_SEARCH_H
#define NN_QUANTIZE_F32_S8_SEARCH_H

#include "nn_common.h"

#define NN_SEARCH_STEP(size) \
    if (key >= at[(size) - 1]) { \
        at += (size); \
    }

NN_KERNEL void nn_quantize_f32_s8_search(int32_t count, const int32_t *restrict thresholds, const float *x,
                                         int8_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t bits = (int32_t)nn_bits_of_f32(x[i]);
        const int32_t key = bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
        const int32_t *at = thresholds;
        NN_SEARCH_STEP(128)
        NN_SEARCH_STEP(64)
        NN_SEARCH_STEP(32)
        NN_SEARCH_STEP(16)
        NN_SEARCH_STEP(8)
        NN_SEARCH_STEP(4)
        NN_SEARCH_STEP(2)
        NN_SEARCH_STEP(1)
        const int32_t reached = (int32_t)(at - thresholds);
        y[i] = (int8_t)(reached == 255 && key > 0x7F800000 ? -128 : reached - 128);
    }
}

#endif
