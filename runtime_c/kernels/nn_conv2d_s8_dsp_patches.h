/* SPDX-License-Identifier: MIT
 *
 * Convolution on cores with the DSP extension, any window and any number of input channels: the
 * windows of three outputs at a time are gathered, spread, and multiplied with all filters
 * (nn_dot_s8_dsp.h). For first layers, whose few channels do not fill words.
 */
#ifndef NN_CONV2D_S8_DSP_PATCHES_H
#define NN_CONV2D_S8_DSP_PATCHES_H

#include "nn_dot_s8_dsp.h"

/* The window at (ih, iw) as a run of bytes. */
NN_INLINE void nn_gather_patch(const nn_window *p, int32_t in_zp, int32_t ih, int32_t iw,
                               const int8_t *x, int8_t *patch)
{
    const int32_t run = p->kernel_w * p->in_c;
    if (p->dilation_h == 1 && p->dilation_w == 1 && ih >= 0 && iw >= 0 &&
        ih + p->kernel_h <= p->in_h && iw + p->kernel_w <= p->in_w) {
        const int8_t *from = x + (ih * p->in_w + iw) * p->in_c;
        for (int32_t kh = 0; kh < p->kernel_h; kh++) {
            __builtin_memcpy(patch, from, (size_t)run);
            from += p->in_w * p->in_c;
            patch += run;
        }
        return;
    }
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

/* Scratch: 28 bytes per group of four inputs of the window. */
NN_KERNEL void nn_conv2d_s8_dsp_patches(const nn_window *p, int32_t in_zp, int32_t head,
                                        int32_t unroll, int32_t shift, int32_t out_zp, int32_t lo,
                                        int32_t hi, int32_t floats, const int8_t *x,
                                        const uint32_t *stream, int8_t *y, uint8_t *scratch)
{
    const int32_t groups = (p->kernel_h * p->kernel_w * p->in_c + 3) / 4;
    const int32_t count = p->out_h * p->out_w;
    uint32_t *const spread = (uint32_t *)(void *)scratch;
    int8_t *const patch = (int8_t *)(void *)(spread + 6 * groups);

    for (int32_t g = 0; g < 4 * groups; g++) {
        patch[g] = 0;
    }
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t oh = 0, ow = 0, left = count;
        while (left > 0) {
            const int32_t cols = left == 4 || left == 2 ? 2 : left == 1 ? 1 : 3;
            for (int32_t c = 0; c < cols; c++) {
                nn_gather_patch(p, in_zp, oh * p->stride_h - p->pad_top,
                                ow * p->stride_w - p->pad_left, x, patch);
                for (int32_t g = 0; g < groups; g++) {
                    nn_spread4(nn_load4(patch + 4 * g), spread + 2 * (g * cols + c));
                }
                if (++ow == p->out_w) {
                    ow = 0;
                    oh++;
                }
            }
            if (cols == 3) {
                nn_dot_columns_s8_dsp(stream, spread + 2, y, 3, groups, head, unroll, 8, 24,
                                      p->out_c, shift, out_zp, lo, hi, floats);
            } else if (count % 3 != 0 && count > 1 && cols == 2) {
                nn_dot_columns_s8_dsp(stream, spread, y, 2, groups, head, unroll, 8, 16, p->out_c,
                                      shift, out_zp, lo, hi, floats);
            } else if (count == 1) {
                nn_dot_columns_s8_dsp(stream, spread, y, 1, groups, head, unroll, 8, 8, p->out_c,
                                      shift, out_zp, lo, hi, floats);
            }
            y += cols * p->out_c;
            left -= cols;
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
