/* SPDX-License-Identifier: MIT
 *
 * uint8 to int8 and back: y = x ^ 0x80. x and y may be the same array.
 */
#ifndef NN_FLIP_SIGN_H
#define NN_FLIP_SIGN_H

#include "nn_common.h"

NN_KERNEL void nn_flip_sign(int32_t count, const void *x, void *y)
{
    const uint8_t *source = (const uint8_t *)x;
    uint8_t *target = (uint8_t *)y;

    for (int32_t i = 0; i < count; i++) {
        target[i] = (uint8_t)(source[i] ^ 0x80u);
    }
}

#endif
