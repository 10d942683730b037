/* SPDX-License-Identifier: MIT
 *
 * y = a + b, a - b, a * b, a / b, or PRelu (a, or a * b where a is not positive) on float32, clamped.
 * y may be a or b where that input is not broadcast.
 */
#ifndef NN_BINARY_F32_H
#define NN_BINARY_F32_H

#include "nn_broadcast.h"

enum { NN_ADD = 0, NN_SUB = 1, NN_MUL = 2, NN_DIV = 3, NN_PRELU = 4 };

NN_INLINE float nn_binary_value(int32_t kind, float a, float b)
{
    switch (kind) {
    case NN_ADD:
        return a + b;
    case NN_SUB:
        return a - b;
    case NN_MUL:
        return a * b;
    case NN_DIV:
        return a / b;
    default:
        return a > 0.0f ? a : a * b;
    }
}

NN_KERNEL void nn_binary_f32(int32_t kind, const nn_broadcast *p, float lo, float hi,
                             const float *a, const float *b, float *y)
{
    NN_BROADCAST(p, i, j, *y++ = nn_clamp_f32(nn_binary_value(kind, a[i], b[j]), lo, hi));
}

#endif
