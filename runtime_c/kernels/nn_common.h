/* SPDX-License-Identifier: MIT
 *
 * What every kernel shares: linkage, integers that wrap, rounding, and the shape of a sliding window.
 *
 * Kernels are C99 and freestanding. Float sums have a fixed order: build with -ffp-contract=off
 * (GCC does so by itself under -std=c99), never with -ffast-math.
 */
#ifndef NN_COMMON_H
#define NN_COMMON_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__)
#error "kernels promise an order of float operations: build without -ffast-math"
#endif
#if FLT_EVAL_METHOD != 0
#error "kernels need float arithmetic in float precision (on x86 use SSE, not the x87)"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Linkage of kernels: inlined and specialised by default, shared to save flash, external for tests. */
#if defined(NN_EXTERN)
#define NN_KERNEL
#elif defined(NN_SHARED)
#define NN_KERNEL static __attribute__((noinline, unused))
#else
#define NN_KERNEL static inline __attribute__((always_inline))
#endif

/* Helpers inside kernels are always inlined. */
#define NN_INLINE static inline __attribute__((always_inline))

/* Inner loops that several kernels share: inlined like helpers, but functions of their own where code must
   be small, with registers of their own. */
#if defined(NN_SHARED)
#define NN_PART static __attribute__((noinline, unused))
#else
#define NN_PART NN_INLINE
#endif

/* Paths that almost never run stay out of line. */
#define NN_RARE static __attribute__((noinline, unused))

/* A single-precision FPU of an Arm core. */
#if defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
#define NN_ARM_FPU 1
#else
#define NN_ARM_FPU 0
#endif

/* A window over H and W of NHWC tensors: convolution (all fields) and pooling (out_c = in_c). */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t dilation_h, dilation_w;
    int32_t groups;
} nn_window;

NN_INLINE uint32_t nn_bits_of_f32(float value)
{
    union { float f; uint32_t u; } both;
    both.f = value;
    return both.u;
}

NN_INLINE float nn_f32_of_bits(uint32_t bits)
{
    union { float f; uint32_t u; } both;
    both.u = bits;
    return both.f;
}

/* a + b modulo 2^32, as the vector units of ONNX Runtime's hosts add. */
NN_INLINE int32_t nn_add_wrap(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

NN_INLINE int32_t nn_clamp_s32(int32_t value, int32_t lo, int32_t hi)
{
    value = value < lo ? lo : value;
    return value > hi ? hi : value;
}

/* A NaN becomes lo. */
NN_INLINE float nn_clamp_f32(float value, float lo, float hi)
{
    value = value > lo ? value : lo;
    return value < hi ? value : hi;
}

/* a * b + c with one rounding, for products of at most 53 bits (one factor is an int8 or int16). */
NN_INLINE float nn_fma_f32(float a, float b, float c)
{
#if NN_ARM_FPU || defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    /* The product is exact in double. Where the sum is not, make its last bit odd (Boldo and Melquiond):
       rounding that to float then cannot be fooled by a tie. */
    const double product = (double)a * (double)b;
    const double sum = product + (double)c;
    const double part = sum - product;
    const double error = (product - (sum - part)) + ((double)c - part);
    union { double d; uint64_t u; } odd;
    odd.d = sum;
    if (error != 0.0 && (odd.u & 1u) == 0u) {
        odd.u = ((error > 0.0) == (sum > 0.0)) ? odd.u + 1u : odd.u - 1u;
    }
    return (float)odd.d;
#endif
}

/* Round half to even. Beyond +-2^22 the result is some integer beyond +-2^22 of the same sign. */
NN_INLINE int32_t nn_rint_f32(float value)
{
#if NN_ARM_FPU
    /* Rounds as FPSCR says, to nearest even since reset, and saturates. */
    float integer;
    __asm__("vcvtr.s32.f32 %0, %1" : "=t"(integer) : "t"(value));
    return (int32_t)nn_bits_of_f32(integer);
#else
    /* 1.5 * 2^23: floats in [2^23, 2^24] have no fraction, so that the addition rounds. */
    const float magic = 12582912.0f;
    value = nn_clamp_f32(value, -4194304.0f, 4194304.0f);
    return (int32_t)nn_bits_of_f32(value + magic) - (int32_t)0x4B400000;
#endif
}

/* clamp(rint(value) + zp, lo, hi), the clamp first so that no value overflows. A NaN becomes lo. */
NN_INLINE int8_t nn_quantize_s8(float value, int32_t zp, int32_t lo, int32_t hi)
{
    value = nn_clamp_f32(value, (float)(lo - zp), (float)(hi - zp));
    return (int8_t)(nn_rint_f32(value) + zp);
}

#endif
