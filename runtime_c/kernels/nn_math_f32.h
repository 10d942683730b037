/* SPDX-License-Identifier: MIT
 *
 * exp, log and square root in float32 without a libm, within 1 ulp, and the logistic function, tanh and erf as ONNX
 * Runtime has them. All from + - * / and fused multiply-adds on float32, so that every core gets the same bits.
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

/* The square root, rounded to nearest as IEEE wants it, of 0 or a positive, normal, finite x. */
NN_INLINE float nn_sqrt_f32(float x)
{
#if NN_ARM_FPU
    __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
    return x;
#else
    /* x = mant * 2^(2 h) with 47 or 48 bits of mant; the root's 24 bits, from the top down. */
    const uint32_t bits = nn_bits_of_f32(x);
    const int32_t exponent = (int32_t)(bits >> 23) - 127;
    const int32_t odd = exponent & 1;
    const uint64_t mant = (uint64_t)((bits & 0x7FFFFFu) | 0x800000u) << (23 + odd);
    uint32_t root = 0;

    if (bits == 0u) {
        return 0.0f;
    }
    for (uint32_t bit = 0x800000u; bit != 0u; bit >>= 1) {
        const uint32_t next = root | bit;
        root = (uint64_t)next * next <= mant ? next : root;
    }
    /* Half a unit more, squared, is root^2 + root + 1/4: never a tie. */
    root += mant - (uint64_t)root * root > root ? 1u : 0u;
    return nn_f32_of_bits((uint32_t)((exponent - odd) / 2 + 126) << 23) * ((float)root * 0x1p-22f);
#endif
}

/* 1 / (1 + exp(-x)) and tanh(x) as ONNX Runtime has them, to the bit: the rational approximations of Eigen,
   with fused multiply-adds. They are within 1e-6 of the truth, absolutely. */
NN_INLINE float nn_sigmoid_f32(float x)
{
    const float t = nn_clamp_f32(x, -18.0f, 18.0f);
    const float z = t * t;
    float p = 0x1.806aa2p-35f;
    p = nn_fma_f32(p, z, 0x1.f09d96p-24f);
    p = nn_fma_f32(p, z, 0x1.fe8276p-15f);
    p = nn_fma_f32(p, z, 0x1.16fabp-7f);
    p = nn_fma_f32(p, z, 0x1.fc7e64p-3f);
    float q = 0x1.5789eap-41f;
    q = nn_fma_f32(q, z, 0x1.8be4f6p-28f);
    q = nn_fma_f32(q, z, 0x1.a62fbap-18f);
    q = nn_fma_f32(q, z, 0x1.be2a7ep-10f);
    q = nn_fma_f32(q, z, 0x1.de7c3p-4f);
    q = nn_fma_f32(q, z, 0x1.fc7e68p-1f);
    p = t * p / q + 0.5f;
    return p > 0.0f ? p : 0.0f;
}

NN_INLINE float nn_tanh_f32(float x)
{
    const float t = nn_clamp_f32(x, -9.0f, 9.0f);
    const float z = t * t;
    float p = -0x1.3e4b8p-52f;
    p = nn_fma_f32(p, z, 0x1.c266fcp-43f);
    p = nn_fma_f32(p, z, -0x1.7a6ffep-34f);
    p = nn_fma_f32(p, z, 0x1.b80082p-25f);
    p = nn_fma_f32(p, z, 0x1.f28694p-17f);
    p = nn_fma_f32(p, z, 0x1.4e1bdap-11f);
    p = nn_fma_f32(p, z, 0x1.40b3b8p-8f);
    float q = 0x1.41a7bp-20f;
    q = nn_fma_f32(q, z, 0x1.f12bacp-14f);
    q = nn_fma_f32(q, z, 0x1.29540ap-9f);
    q = nn_fma_f32(q, z, 0x1.40b3bap-8f);
    return t * p / q;
}

/* erf(x) as ONNX Runtime has it, to the bit (polynomials by N. Juffa, within 1.2e-7 of the truth):
   x + x * p(x^2) near 0, 1 - exp(-q(|x|)) beyond. */
NN_INLINE float nn_erf_f32(float x)
{
    const float size = nn_f32_of_bits(nn_bits_of_f32(x) & 0x7FFFFFFFu);
    const uint32_t sign = nn_bits_of_f32(x) & 0x80000000u;
    const float t = size < 0x1.f66666p+1f ? size : 0x1.f66666p+1f;
    float y;

    if (t > 0x1.d8p-1f) {
        float p = 0x1.2229p-16f;
        p = nn_fma_f32(p, t, -0x1.91d2ccp-12f);
        p = nn_fma_f32(p, t, 0x1.fd1336p-9f);
        p = nn_fma_f32(p, t, -0x1.8d63p-6f);
        p = nn_fma_f32(p, t, 0x1.b55cbp-4f);
        p = nn_fma_f32(p, t, 0x1.450aap-1f);
        p = nn_fma_f32(p, t, 0x1.079d0cp-3f);
        /* exp(-q) = 2^n * exp(r), -16 < -q < 0; the addition rounds to an integer. */
        const float q = nn_fma_f32(p, t, t);
        const float n = nn_fma_f32(0x1.715476p+0f, -q, 12582912.0f) - 12582912.0f;
        const float r = nn_fma_f32(n, -0x1.7f7d1cp-20f, nn_fma_f32(n, -0x1.62e4p-1f, -q));
        float e = 0x1.6a98dap-10f;
        e = nn_fma_f32(e, r, 0x1.1272cap-7f);
        e = nn_fma_f32(e, r, 0x1.555a2p-5f);
        e = nn_fma_f32(e, r, 0x1.55542ep-3f);
        e = nn_fma_f32(e, r, 0x1.fffff6p-2f);
        e = nn_fma_f32(e, r, 0x1p+0f);
        e = nn_fma_f32(e, r, 0x1p+0f);
        y = 1.0f - e * nn_f32_of_bits((uint32_t)((int32_t)n + 127) << 23);
    } else {
        const float z = t * t;
        float p = -0x1.3a1a82p-11f;
        p = nn_fma_f32(p, z, 0x1.473f48p-8f);
        p = nn_fma_f32(p, z, -0x1.b68bd2p-6f);
        p = nn_fma_f32(p, z, 0x1.ce1a46p-4f);
        p = nn_fma_f32(p, z, -0x1.8126ep-2f);
        p = nn_fma_f32(p, z, 0x1.06eba6p-3f);
        y = nn_fma_f32(p, t, t);
    }
    return nn_f32_of_bits(nn_bits_of_f32(y) | sign);
}

#endif
