/* SPDX-License-Identifier: MIT
 *
 * The largest element under a window without dilation, for cores with the DSP extension: four channels at a
 * time. A window with nothing but padding gives -128.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_MAXPOOL_S8_DSP_H
#define NN_MAXPOOL_S8_DSP_H

#include "nn_clip.h"
#include "nn_dsp.h"

/* The larger of each pair of signed bytes. */
NN_INLINE uint32_t nn_max4(uint32_t a, uint32_t b)
{
#if NN_ARM_DSP
    uint32_t y;
    __asm__("ssub8 %0, %1, %2\nsel %0, %1, %2" : "=&r"(y) : "r"(a), "r"(b) : "cc");
    return y;
#else
    uint32_t y = 0u;
    for (uint32_t shift = 0u; shift < 32u; shift += 8u) {
        const uint32_t larger = (int8_t)(a >> shift) > (int8_t)(b >> shift) ? a : b;
        y |= larger & (0xFFu << shift);
    }
    return y;
#endif
}

NN_KERNEL void nn_maxpool_s8_dsp(const nn_window *p, const int8_t *x, int8_t *y)
{
    const int32_t channels = p->in_c;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const nn_clip clip = nn_clipped(p, oh, ow);
                const int8_t *const from = x + clip.first * channels;
                int32_t c = 0;
                for (; c < (channels & ~3); c += 4) {
                    uint32_t best = 0x80808080u;
                    for (int32_t i = 0; i < clip.rows; i++) {
                        for (int32_t j = 0; j < clip.cols; j++) {
                            best = nn_max4(best, nn_load4(from + (i * p->in_w + j) * channels + c));
                        }
                    }
                    __builtin_memcpy(y, &best, sizeof best);
                    y += 4;
                }
                for (; c < channels; c++) {
                    int32_t best = -128;
                    for (int32_t i = 0; i < clip.rows; i++) {
                        for (int32_t j = 0; j < clip.cols; j++) {
                            const int32_t value = from[(i * p->in_w + j) * channels + c];
                            best = value > best ? value : best;
                        }
                    }
                    *y++ = (int8_t)best;
                }
            }
        }
        x += p->in_h * p->in_w * channels;
    }
}

#endif
