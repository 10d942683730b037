/* SPDX-License-Identifier: MIT
 *
 * Convolution on cores with the DSP extension, any window and any number of input channels: the
 * windows of three outputs at a time are gathered, spread, and multiplied with all filters
 * (nn_dot_s8_dsp.h). For first layers, whose few channels do not fill words.
 *
 * Order of a window's inputs: the whole words of each row, then the rows' remaining bytes.
 */
#ifndef NN_CONV2D_S8_DSP_PATCHES_H
#define NN_CONV2D_S8_DSP_PATCHES_H

#include "nn_dot_s8_dsp.h"

/* `rows` runs of `run` bytes, row_step apart, spread to places `step` words apart. */
NN_INLINE void nn_spread_patch(int32_t rows, int32_t run, int32_t row_step, int32_t step,
                               const int8_t *from, uint32_t *to)
{
    const int32_t rest = run & 3;
    uint32_t word = 0u;

    for (int32_t r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int32_t i = 0; i < run / 4; i++) {
            nn_spread4(nn_load4(from + r * row_step + 4 * i), to);
            to += step;
        }
    }
    if (rest != 0) {
#pragma GCC unroll 32
        for (int32_t i = 0; i < rows * rest; i++) {
            const int8_t *const at = from + i / rest * row_step + (run - rest) + i % rest;
            word |= (uint32_t)(uint8_t)*at << (8 * (i & 3));
            if ((i & 3) == 3 || i == rows * rest - 1) {
                nn_spread4(word, to);
                to += step;
                word = 0u;
            }
        }
    }
}

/* A window that leaves the input, as runs of bytes one after the other. */
NN_RARE void nn_gather_border(const nn_window *p, int32_t in_zp, int32_t ih, int32_t iw,
                              const int8_t *x, int8_t *patch)
{
    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
        const int32_t row = ih + kh * p->dilation_h;
        for (int32_t kw = 0; kw < p->kernel_w; kw++) {
            const int32_t col = iw + kw * p->dilation_w;
            const int32_t inside = row >= 0 && row < p->in_h && col >= 0 && col < p->in_w;
            const int8_t *const from = inside ? x + (row * p->in_w + col) * p->in_c : x;
            for (int32_t c = 0; c < p->in_c; c++) {
                *patch++ = inside ? from[c] : (int8_t)in_zp;
            }
        }
    }
}

/* Scratch: 24 bytes per group of four inputs of the window, `hold` words of the stream that are copied there
   first (in eights, for cores whose flash is slower than their RAM), and the bytes of a window. */
NN_KERNEL void nn_conv2d_s8_dsp_patches(const nn_window *p, int32_t in_zp, int32_t head,
                                        int32_t unroll, int32_t shift, int32_t out_zp, int32_t lo,
                                        int32_t hi, int32_t floats, int32_t hold, const int8_t *x,
                                        const uint32_t *stream, int8_t *y, uint8_t *scratch)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t groups = p->kernel_h * (run / 4) + (p->kernel_h * (run & 3) + 3) / 4;
    const int32_t count = p->out_h * p->out_w;
    const int32_t dense = p->dilation_h == 1 && p->dilation_w == 1;
    uint32_t *const spread = (uint32_t *)(void *)scratch;
    uint32_t *const held = spread + 6 * groups;
    int8_t *const patch = (int8_t *)(void *)(held + ((hold + 7) & ~7));

    if (hold != 0) {
        nn_hold(hold, stream, held);
        stream = held;
    }

    for (int32_t n = 0; n < p->batch; n++) {
        int32_t oh = 0, ow = 0, left = count;
        while (left > 0) {
            const int32_t cols = left == 4 || left == 2 ? 2 : left == 1 ? 1 : 3;
            for (int32_t c = 0; c < cols; c++) {
                const int32_t ih = oh * p->stride_h - p->pad_top;
                const int32_t iw = ow * p->stride_w - p->pad_left;
                uint32_t *to = spread + 2 * c;
                NN_OPAQUE(to);
                if (!dense || ih < 0 || iw < 0 || ih + p->kernel_h > p->in_h ||
                    iw + p->kernel_w > p->in_w) {
                    nn_gather_border(p, in_zp, ih, iw, x, patch);
                    nn_spread_patch(p->kernel_h, run, run, 2 * cols, patch, to);
                } else {
                    const int8_t *from = x + (ih * p->in_w + iw) * p->in_c;
                    NN_OPAQUE(from);
                    nn_spread_patch(p->kernel_h, run, p->in_w * p->in_c, 2 * cols, from, to);
                }
                if (++ow == p->out_w) {
                    ow = 0;
                    oh++;
                }
            }
            if (cols == 3) {
                nn_dot_columns_s8_dsp(stream, spread + 2, y, 3, groups, head, unroll, 8, 24,
                                      p->out_c, shift, out_zp, lo, hi, floats, NULL);
            } else if (count % 3 != 0 && count > 1 && cols == 2) {
                nn_dot_columns_s8_dsp(stream, spread, y, 2, groups, head, unroll, 8, 16, p->out_c,
                                      shift, out_zp, lo, hi, floats, NULL);
            } else if (count == 1) {
                nn_dot_columns_s8_dsp(stream, spread, y, 1, groups, head, unroll, 8, 8, p->out_c,
                                      shift, out_zp, lo, hi, floats, NULL);
            }
            y += cols * p->out_c;
            left -= cols;
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
