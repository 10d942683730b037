/* SPDX-License-Identifier: MIT
 *
 * y = x, `bytes` long; the arrays do not overlap.
 */
#ifndef NN_COPY_H
#define NN_COPY_H

#include "nn_common.h"

NN_KERNEL void nn_copy(int32_t bytes, const void *restrict x, void *restrict y)
{
    const uint8_t *source = (const uint8_t *)x;
    uint8_t *target = (uint8_t *)y;

    for (int32_t i = 0; i < bytes; i++) {
        target[i] = source[i];
    }
}

#endif
