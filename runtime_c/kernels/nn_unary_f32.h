/* SPDX-License-Identifier: MIT
 *
 * One function of each float32 element; p0 and p1 as in codegen.ops.UnaryF32.
 * x and y may be the same array.
 */
#ifndef NN_UNARY_F32_H
#define NN_UNARY_F32_H

#include "nn_math_f32.h"

enum {
    NN_CLIP = 0,        /* p0 <= x <= p1 */
    NN_LEAKYRELU = 1,   /* x < 0 ? p0 * x : x */
    NN_HARDSWISH = 2,   /* x * clip(x / 6 + 1/2, 0, 1) */
    NN_HARDSIGMOID = 3, /* clip(p0 * x + p1, 0, 1) */
    NN_SIGMOID = 4,
    NN_TANH = 5,
    NN_ERF = 6,
    NN_GELU = 7,        /* x / 2 * (1 + erf(x / sqrt(2))) */
    NN_GELU_TANH = 8    /* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) */
};

NN_INLINE float nn_unary_value(int32_t kind, float p0, float p1, float x)
{
    switch (kind) {
    case NN_CLIP:
        return nn_clamp_f32(x, p0, p1);
    case NN_LEAKYRELU:
        return x < 0.0f ? p0 * x : x;
    case NN_HARDSWISH:
        return x * nn_clamp_f32(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
    case NN_HARDSIGMOID:
        return nn_clamp_f32(p0 * x + p1, 0.0f, 1.0f);
    case NN_SIGMOID:
        return nn_sigmoid_f32(x);
    case NN_TANH:
        return nn_tanh_f32(x);
    case NN_ERF:
        return nn_erf_f32(x);
    case NN_GELU:
        return 0.5f * x * (nn_erf_f32(x * 0x1.6a09e6p-1f) + 1.0f);
    default:
        return 0.5f * x * (nn_tanh_f32(x * (0x1.2444f2p-5f * x * x + 0x1.988454p-1f)) + 1.0f);
    }
}

NN_KERNEL void nn_unary_f32(int32_t kind, int32_t count, float p0, float p1, const float *x,
                            float *y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = nn_unary_value(kind, p0, p1, x[i]);
    }
}

#endif
