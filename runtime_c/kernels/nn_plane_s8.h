/* SPDX-License-Identifier: MIT
 *
 * One channel of x[H,W,C] as a plane of halfwords with its padding around it: what depthwise kernels
 * for cores with the DSP extension work on. The border is filled once, the inside for each channel.
 *
 * A plane may also hold no more than the inputs of a band of output rows, one band after the other: what
 * two bands share stays in the plane, so that outputs may lie on inputs that were gathered.
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
NN_PART void nn_plane_gather(int32_t rows, int32_t cols, int32_t step, int32_t row_step,
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

typedef struct {
    int32_t in_h, in_w, in_c, pad_top, pad_left;
    int32_t band, out_h, height, width; /* output rows of a band and in all; halfwords of the plane */
    int32_t zero;                       /* what padding holds */
    int32_t shared;                     /* rows that a band has in common with the next */
} nn_bands;

/* The plane of the band of output rows that begins with `first`, of the channel at x; input rows before
   `row` were gathered. Returns the row behind the last one gathered. */
NN_INLINE int32_t nn_plane_band(const nn_bands *b, int32_t first, int32_t row, const int8_t *x,
                                int16_t *plane)
{
    const int32_t cols = b->in_w < b->width - b->pad_left ? b->in_w : b->width - b->pad_left;
    const int32_t there = first == 0 ? b->pad_top : b->shared;
    const int32_t left = b->in_h - row, wanted = b->height - there;
    const int32_t rows = left < wanted ? left : wanted;
    int16_t *const to = plane + there * b->width;
    if (b->band < b->out_h) {
        if (first == 0) {
            nn_plane_clear(there, b->width, b->zero, plane);
        } else {
            const uint32_t *const old = (uint32_t *)(void *)(plane + (b->height - there) * b->width);
            uint32_t *const words = (uint32_t *)(void *)plane;
            for (int32_t i = 0; i < there * b->width / 2; i++) {
                words[i] = old[i];
            }
        }
        nn_plane_clear(wanted - rows, b->width, b->zero, to + rows * b->width);
    }
    nn_plane_gather(rows, cols, b->in_c, b->in_w * b->in_c, b->width, x + row * b->in_w * b->in_c,
                    to + b->pad_left);
    return row + rows;
}

#endif
