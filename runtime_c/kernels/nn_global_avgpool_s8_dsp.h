/* SPDX-License-Identifier: MIT
 *
 * The mean over all pixels as nn_global_avgpool_s8, for cores with the DSP extension: four channels at a time,
 * whose sums of up to 255 pixels are halfwords. x[N,P,C], y[N,C].
 */
#ifndef NN_GLOBAL_AVGPOOL_S8_DSP_H
#define NN_GLOBAL_AVGPOOL_S8_DSP_H

#include "nn_dsp.h"
#include "nn_requant.h"

/* sums + signed bytes 0 and 2 of x, or 1 and 3, as two halfwords; none overflows. */
NN_INLINE uint32_t nn_add_even(uint32_t sums, uint32_t x)
{
#if NN_ARM_DSP
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2" : "=r"(y) : "r"(sums), "r"(x));
    return y;
#else
    const uint32_t two = nn_sxtb16(x);
    return ((sums + two) & 0xFFFFu) | (((sums >> 16) + (two >> 16)) << 16);
#endif
}

NN_INLINE uint32_t nn_add_odd(uint32_t sums, uint32_t x)
{
#if NN_ARM_DSP
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(y) : "r"(sums), "r"(x));
    return y;
#else
    return nn_add_even(sums, nn_ror(x, 8u));
#endif
}

/* Sums of `pixels`, `step` bytes apart, of four channels. */
NN_INLINE void nn_sum4(int32_t pixels, int32_t step, const int8_t *x, int32_t *sums)
{
    while (pixels > 0) {
        const int32_t count = pixels < 255 ? pixels : 255;
        uint32_t even = 0u, odd = 0u;
        for (int32_t i = 0; i < count; i++) {
            const uint32_t word = nn_load4(x);
            even = nn_add_even(even, word);
            odd = nn_add_odd(odd, word);
            x += step;
        }
        sums[0] += (int16_t)(uint16_t)even;
        sums[1] += (int16_t)(uint16_t)odd;
        sums[2] += (int32_t)even >> 16;
        sums[3] += (int32_t)odd >> 16;
        pixels -= count;
    }
}

NN_KERNEL void nn_global_avgpool_s8_dsp(int32_t batch, int32_t pixels, int32_t channels,
                                        const nn_requant *q, float multiplier,
                                        const int8_t *restrict x, int8_t *restrict y)
{
    const int32_t start = -pixels * q->in_zp;

    for (int32_t n = 0; n < batch; n++, x += pixels * channels) {
        int32_t c = 0;
        for (; c < (channels & ~3); c += 4) {
            int32_t sums[4] = {start, start, start, start};
            nn_sum4(pixels, channels, x + c, sums);
            for (int32_t i = 0; i < 4; i++) {
                *y++ = nn_requant_s8(sums[i], multiplier, q);
            }
        }
        for (; c < channels; c++) {
            int32_t sum = start;
            for (int32_t i = 0; i < pixels; i++) {
                sum += x[i * channels + c];
            }
            *y++ = nn_requant_s8(sum, multiplier, q);
        }
    }
}

#endif
