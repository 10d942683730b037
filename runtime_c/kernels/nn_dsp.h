/* SPDX-License-Identifier: MIT
 *
 * The DSP extension's instructions that kernels use, and the same in plain C, so that every kernel
 * runs on any host. ACLE where the compiler has it; assembly where it loses.
 */
#ifndef NN_DSP_H
#define NN_DSP_H

#include "nn_common.h"

#if defined(__arm__) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)
#define NN_ARM_DSP 1
#include <arm_acle.h>
#else
#define NN_ARM_DSP 0
#endif

/* Blocks in assembly need constants that only inlining provides. */
#if NN_ARM_FPU && !defined(NN_EXTERN) && !defined(NN_SHARED) && defined(__OPTIMIZE__)
#define NN_FPU_BLOCKS 1
#else
#define NN_FPU_BLOCKS 0
#endif
#define NN_DSP_BLOCKS (NN_FPU_BLOCKS && NN_ARM_DSP)

/* Functions in assembly that take what differs between layers at run time. */
#if NN_ARM_DSP && NN_ARM_FPU && !defined(NN_EXTERN) && defined(__OPTIMIZE__) && \
    (defined(NN_SHARED) || defined(NN_SHARED_DOT))
#define NN_DSP_JOBS 1
#else
#define NN_DSP_JOBS 0
#endif

/* Compilers take the size of inline assembly from its lines; empty ones stand for what .rept repeats. */
#define NN_LINES_16 "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
#define NN_LINES_256                                                                      \
    NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16  \
    NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16 NN_LINES_16  \
    NN_LINES_16 NN_LINES_16

/* Keeps the compiler from looking into a pointer: one base register instead of many computed ones. */
#if defined(__GNUC__)
#define NN_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define NN_OPAQUE(pointer) (void)(pointer)
#endif

/* A word of four bytes from any address. */
NN_INLINE uint32_t nn_load4(const int8_t *from)
{
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

NN_INLINE uint32_t nn_ror(uint32_t x, uint32_t n)
{
    return (x >> n) | (x << ((32u - n) & 31u));
}

/* Bytes 0 and 2 as two signed halfwords. */
NN_INLINE uint32_t nn_sxtb16(uint32_t x)
{
#if NN_ARM_DSP
    return (uint32_t)__sxtb16((int8x4_t)x);
#else
    return ((uint32_t)(int8_t)x & 0xFFFFu) | ((uint32_t)(int8_t)(x >> 16) << 16);
#endif
}

/* Bytes 1 and 3 as two signed halfwords. */
NN_INLINE uint32_t nn_sxtb16_odd(uint32_t x)
{
#if NN_ARM_DSP
    uint32_t y;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
#else
    return nn_sxtb16(nn_ror(x, 8u));
#endif
}

/* Bytes swapped within each halfword. */
NN_INLINE uint32_t nn_rev16(uint32_t x)
{
#if NN_ARM_DSP
    uint32_t y;
    __asm__("rev16 %0, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return ((x & 0x00FF00FFu) << 8) | ((x >> 8) & 0x00FF00FFu);
#endif
}

/* sum + a.low * b.low + a.high * b.high, signed halfwords, modulo 2^32. */
NN_INLINE int32_t nn_smlad(uint32_t a, uint32_t b, int32_t sum)
{
#if NN_ARM_DSP
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
#else
    const int32_t low = (int16_t)(uint16_t)a * (int16_t)(uint16_t)b;
    const int32_t high = (int16_t)(a >> 16) * (int16_t)(b >> 16);
    return nn_add_wrap(nn_add_wrap(sum, low), high);
#endif
}

/* sum + (a * b >> 32), modulo 2^32. */
NN_INLINE int32_t nn_smmla(int32_t a, int32_t b, int32_t sum)
{
#if NN_ARM_DSP
    int32_t y;
    __asm__("smmla %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(sum));
    return y;
#else
    return nn_add_wrap(sum, (int32_t)(((int64_t)a * b) >> 32));
#endif
}

/* clamp(x >> shift, -128, 127). */
NN_INLINE int32_t nn_ssat8_asr(int32_t x, int32_t shift)
{
#if NN_ARM_DSP
    return (int32_t)__builtin_arm_ssat(x >> shift, 8); /* __ssat of GCC 12 warns */
#else
    return nn_clamp_s32(x >> shift, -128, 127);
#endif
}

/* Words from flash to RAM, eight at a time. */
NN_INLINE void nn_hold(int32_t words, const uint32_t *from, uint32_t *to)
{
#if NN_ARM_DSP
    const uint32_t *const end = from + ((words + 7) & ~7);
    __asm__ volatile(
        "1:\n"
        "ldm %[from]!, {r2, r3, r4, r5, r6, r8, r9, r10}\n"
        "cmp %[from], %[end]\n"
        "stm %[to]!, {r2, r3, r4, r5, r6, r8, r9, r10}\n"
        "bne 1b\n"
        : [from] "+r"(from), [to] "+r"(to)
        : [end] "r"(end)
        : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
    for (int32_t i = 0; i < ((words + 7) & ~7); i++) {
        to[i] = from[i];
    }
#endif
}

/* Four inputs x0..x3 as two words for products with four packed weights (see nn_dot_s8_dsp.h):
   (x1, x3) and (256 * x0 + 127 - x1, 256 * x2 + 127 - x3), as signed halfwords. */
NN_INLINE void nn_spread4(uint32_t x, uint32_t *to)
{
    to[0] = nn_sxtb16_odd(x);
    to[1] = nn_rev16(x) ^ 0x007F007Fu;
}

#endif
