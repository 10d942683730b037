/* SPDX-License-Identifier: MIT
 *
 * y = a + b on int8 arrays of one size, for cores with the DSP extension, where an integer form was proven
 * equal to ONNX Runtime's for all 65536 pairs when the code was generated:
 * y = clamp((offset + (a_factor * a >> 8) + (b_factor * b >> 8)) >> shift, lo, hi).
 * y may be a or b.
 */
#ifndef NN_ADD_S8_DSP_H
#define NN_ADD_S8_DSP_H

#include "nn_dsp.h"

/* One output as int32; `b_half` tells which halfwords of a and b, which hold 256 times the inputs. */
#if NN_ARM_DSP
#define NN_ADD_DSP_LOW(a, b) \
    __smlawb(b_factor, (int32_t)(b), __smlawb(a_factor, (int32_t)(a), offset))
#define NN_ADD_DSP_HIGH(a, b) \
    __smlawt(b_factor, (int32_t)(b), __smlawt(a_factor, (int32_t)(a), offset))
#else
NN_INLINE int32_t nn_mul_half(int32_t factor, uint32_t half)
{
    return (int32_t)(((int64_t)factor * (int16_t)(uint16_t)half) >> 16);
}
#define NN_ADD_DSP_LOW(a, b) (offset + nn_mul_half(a_factor, a) + nn_mul_half(b_factor, b))
#define NN_ADD_DSP_HIGH(a, b) NN_ADD_DSP_LOW((a) >> 16, (b) >> 16)
#endif

NN_INLINE int8_t nn_add_dsp_store(int32_t value, int32_t shift, int32_t lo, int32_t hi)
{
    value = nn_ssat8_asr(value, shift);
    if (lo > -128 || hi < 127) {
        value = nn_clamp_s32(value, lo, hi);
    }
    return (int8_t)value;
}

NN_KERNEL void nn_add_s8_dsp(int32_t count, int32_t a_factor, int32_t b_factor, int32_t offset,
                             int32_t shift, int32_t lo, int32_t hi, const int8_t *a,
                             const int8_t *b, int8_t *y)
{
    const int8_t *const end = y + (count & ~3);

    while (y != end) {
        const uint32_t a_odd = nn_load4(a) & 0xFF00FF00u, a_even = (nn_load4(a) << 8) & 0xFF00FF00u;
        const uint32_t b_odd = nn_load4(b) & 0xFF00FF00u, b_even = (nn_load4(b) << 8) & 0xFF00FF00u;
        const int32_t y0 = NN_ADD_DSP_LOW(a_even, b_even), y1 = NN_ADD_DSP_LOW(a_odd, b_odd);
        const int32_t y2 = NN_ADD_DSP_HIGH(a_even, b_even), y3 = NN_ADD_DSP_HIGH(a_odd, b_odd);
        y[0] = nn_add_dsp_store(y0, shift, lo, hi);
        y[1] = nn_add_dsp_store(y1, shift, lo, hi);
        y[2] = nn_add_dsp_store(y2, shift, lo, hi);
        y[3] = nn_add_dsp_store(y3, shift, lo, hi);
        a += 4;
        b += 4;
        y += 4;
    }
    for (int32_t i = 0; i < (count & 3); i++) {
        const uint32_t a_half = (uint32_t)(a[i] * 256), b_half = (uint32_t)(b[i] * 256);
        y[i] = nn_add_dsp_store(NN_ADD_DSP_LOW(a_half, b_half), shift, lo, hi);
    }
}

#endif
