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
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                const float *const row_a =
                    a + i * p->a_step[0] + j * p->a_step[1] + k * p->a_step[2];
                const float *const row_b =
                    b + i * p->b_step[0] + j * p->b_step[1] + k * p->b_step[2];
                for (int32_t l = 0; l < p->size[3]; l++) {
                    const float u = row_a[l * p->a_step[3]];
                    const float v = row_b[l * p->b_step[3]];
                    *y++ = nn_clamp_f32(nn_binary_value(kind, u, v), lo, hi);
                }
            }
        }
    }
}

#endif
