/* SPDX-License-Identifier: MIT
 *
 * One channel of x[H,W,C] as a plane of halfwords with its padding around it: what depthwise kernels
 * for cores with the DSP extension work on. The border is filled once, the inside for each channel.
 */
#ifndef NN_PLANE_S8_H
#define NN_PLANE_S8_H

#include "nn_dsp.h"

/* All of a plane of height x width halfwords; width is even. */
NN_INLINE void nn_plane_clear(int32_t height, int32_t width, int32_t value, int16_t *plane)
{
    const uint32_t two = ((uint32_t)value & 0xFFFFu) | ((uint32_t)value << 16);
    uint32_t *const words = (uint32_t *)(void *)plane;
    for (int32_t i = 0; i < height * width / 2; i++) {
        words[i] = two;
    }
}

/* rows x cols bytes, `step` bytes apart, rows row_step bytes apart, into a plane. */
NN_INLINE void nn_plane_gather(int32_t rows, int32_t cols, int32_t step, int32_t row_step,
                               int32_t width, const int8_t *x, int16_t *plane)
{
    for (int32_t r = 0; r < rows; r++) {
        const int8_t *from = x + r * row_step;
        int16_t *to = plane + r * width;
        for (int32_t i = 0; i < cols / 4; i++) {
            const int16_t a = from[0], b = from[step], c = from[2 * step], d = from[3 * step];
            to[0] = a;
            to[1] = b;
            to[2] = c;
            to[3] = d;
            from += 4 * step;
            to += 4;
        }
        for (int32_t i = 0; i < (cols & 3); i++) {
            to[i] = from[i * step];
        }
    }
}

#endif
