/* SPDX-License-Identifier: MIT
 *
 * exp, log, tanh and the logistic function in float32 without a libm: within 2 ulp (tests/property).
 *
 * Polynomials interpolate at Chebyshev nodes; only + - * / on float32, so that every core gets the same bits.
 */
#ifndef NN_MATH_F32_H
#define NN_MATH_F32_H

#include "nn_common.h"

/* exp(x) = 2^n * exp(r), |r| <= ln(2) / 2. Overflow gives infinity, underflow subnormals, then 0. */
NN_INLINE float nn_exp_f32(float x)
{
    const float t = nn_clamp_f32(x, -104.0f, 89.0f);
    const int32_t n = nn_rint_f32(t * 0x1.715476p+0f);
    const float r = (t - (float)n * 0x1.62e4p-1f) - (float)n * 0x1.7f7d1cp-20f;
    float p = 0x1.6d119ap-10f;
    p = p * r + 0x1.120cp-7f;
    p = p * r + 0x1.555518p-5f;
    p = p * r + 0x1.5554dcp-3f;
    p = p * r + 0.5f;
    p = 1.0f + (r + r * r * p);
    /* 2^n in two factors, so that each is a normal float. */
    p *= nn_f32_of_bits((uint32_t)((n >> 1) + 127) << 23);
    return p * nn_f32_of_bits((uint32_t)(n - (n >> 1) + 127) << 23);
}

/* The natural logarithm of a positive, normal, finite x: x = 2^n * m with m in [0.7, 1.42). */
NN_INLINE float nn_log_f32(float x)
{
    const uint32_t bits = nn_bits_of_f32(x) - 0x3F350000u;
    const int32_t n = (int32_t)bits >> 23;
    const float f = nn_f32_of_bits((bits & 0x7FFFFFu) + 0x3F350000u) - 1.0f;
    /* log(1 + f) = 2 atanh(s), s = f / (2 + f); the series in s^2 <= 0.03, f - s * f being 2 s. */
    const float s = f / (2.0f + f);
    const float z = s * s;
    const float tail = z * (2.0f / 3.0f + z * (2.0f / 5.0f + z * (2.0f / 7.0f + z * (2.0f / 9.0f))));
    const float low = (float)n * -0x1.bd0106p-13f - s * (f - tail);
    return (float)n * 0x1.63p-1f + (f + low);
}

NN_INLINE float nn_sigmoid_f32(float x)
{
    const float e = nn_exp_f32(x < 0.0f ? x : -x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

NN_INLINE float nn_tanh_f32(float x)
{
    const float a = x < 0.0f ? -x : x;
    float t;
    if (a < 0.6f) {
        const float z = x * x;
        t = -0x1.9ada6p-8f;
        t = t * z + 0x1.59e1c8p-6f;
        t = t * z - 0x1.b955dcp-5f;
        t = t * z + 0x1.110eep-3f;
        t = t * z - 0x1.555554p-2f;
        return x + x * z * t;
    }
    t = 1.0f - 2.0f / (nn_exp_f32(2.0f * a) + 1.0f);
    return x < 0.0f ? -t : t;
}

#endif
