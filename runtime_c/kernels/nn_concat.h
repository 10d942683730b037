/* SPDX-License-Identifier: MIT
 *
 * One input of a concatenation: `rows` pieces of `bytes` from x, dense, to y, `stride` bytes apart.
 */
#ifndef NN_CONCAT_H
#define NN_CONCAT_H

#include "nn_common.h"

NN_KERNEL void nn_concat(int32_t rows, int32_t bytes, int32_t stride, const void *restrict x,
                         void *restrict y)
{
    const uint8_t *source = (const uint8_t *)x;

    for (int32_t row = 0; row < rows; row++) {
        uint8_t *const target = (uint8_t *)y + row * stride;
        for (int32_t i = 0; i < bytes; i++) {
            target[i] = *source++;
        }
    }
}

#endif
