/* SPDX-License-Identifier: MIT
 *
 * Convolution on cores with the DSP extension, input channels a multiple of 4, no dilation: the rows
 * under the window stand spread in scratch, as [column][window row][channel], so that each window is
 * one run of memory (nn_dot_s8_dsp.h). From one output row to the next they move up within each column.
 * An image may be taken in strips of columns, one after the other, which need less scratch.
 * y may overlap x as long as no output row is written over input rows that are not yet in scratch, if there
 * is one strip; with `add` (an even number of filters) y holds what is added to (nn_dot_s8_dsp.h).
 */
#ifndef NN_CONV2D_S8_DSP_ROWS_H
#define NN_CONV2D_S8_DSP_ROWS_H

#include "nn_dot_s8_dsp.h"

typedef struct {
    uint32_t word[4];
} nn_words4;

typedef struct {
    uint32_t word[2];
} nn_words2;

/* Spread `count` pixels of `in_c` bytes to places `block` words apart; x NULL means padding. */
NN_INLINE void nn_spread_row(const int8_t *x, int32_t count, int32_t in_c, int32_t block,
                             uint32_t pad, uint32_t *to)
{
    for (int32_t i = 0; i < count; i++) {
        for (int32_t g = 0; g < in_c / 4; g++) {
            nn_spread4(x != NULL ? nn_load4(x + 4 * g) : pad, to + 2 * g);
        }
        x = x != NULL ? x + in_c : NULL;
        to += block;
    }
}

NN_INLINE void nn_move_up(uint32_t *block, int32_t words, int32_t distance)
{
    if (words % 4 == 0 && distance >= 4) {
        for (int32_t i = 0; i < words; i += 4) {
            const nn_words4 four = *(const nn_words4 *)(const void *)(block + i + distance);
            *(nn_words4 *)(void *)(block + i) = four;
        }
    } else {
        for (int32_t i = 0; i < words; i += 2) {
            const nn_words2 two = *(const nn_words2 *)(const void *)(block + i + distance);
            *(nn_words2 *)(void *)(block + i) = two;
        }
    }
}

/* All filters on one row of a strip of `cols` columns, of which there is one only where out_w is 1. */
NN_INLINE void nn_filter_row(const int32_t out_w, int32_t cols, const int32_t stride_w,
                             const int32_t block, const int32_t hold, uint32_t *held,
                             const uint32_t *stream, const uint32_t *spread, int8_t *y,
                             const int32_t groups, const int32_t head, const int32_t unroll,
                             const int32_t out_c, const int32_t shift, const int32_t out_zp,
                             const int32_t lo, const int32_t hi, const int32_t floats,
                             const nn_residual *const add)
{
    const int32_t pitch = 4 * stride_w * block;
#if NN_DSP_JOBS && !NN_DSP_BLOCKS
    const int32_t twos = cols / 2; /* what the shared function takes */
    const int32_t threes = 0;
#else
    const int32_t twos = cols % 3 == 2 ? 1 : cols % 3 == 1 && cols > 3 ? 2 : 0;
    const int32_t threes = (cols - 2 * twos) / 3;
#endif
#if NN_DSP_BLOCKS
    for (int32_t f = 0; f < out_c; f += 2) {
        const uint32_t *const end = stream + 2 + 2 * groups;
        const uint32_t *from = spread;
        const uint32_t *weights = stream;
        int8_t *to = y + (f + 2 > out_c ? out_c - 2 : f);
        if (hold != 0 && cols >= hold) {
            nn_hold(2 * groups + 7, stream, held);
            weights = held;
        }
        if (threes > 0) {
            nn_dot_row_s8_dsp(weights, from + stride_w * block, to, to + 3 * threes * out_c, 3,
                              groups, head, unroll, pitch, 8, out_c, shift, out_zp, lo, hi, floats,
                              add);
            from += 3 * threes * stride_w * block;
            to += 3 * threes * out_c;
        }
        if (twos > 0) {
            nn_dot_row_s8_dsp(weights, from, to, to + 2 * twos * out_c, 2, groups, head, unroll,
                              pitch, 8, out_c, shift, out_zp, lo, hi, floats, add);
        }
        if (out_w == 1) {
            nn_dot_row_s8_dsp(weights, from, to, to + out_c, 1, groups, head, unroll, pitch, 8,
                              out_c, shift, out_zp, lo, hi, floats, add);
        }
        stream = end + (end[0] != 0u ? 4 : 5);
    }
#else
    (void)out_w;
    (void)held;
    (void)hold;
#if !NN_DSP_JOBS
    for (int32_t i = 0; i < threes; i++) {
        nn_dot_columns_s8_dsp(stream, spread + stride_w * block, y, 3, groups, head, unroll, pitch,
                              8, out_c, shift, out_zp, lo, hi, floats, add);
        spread += 3 * stride_w * block;
        y += 3 * out_c;
    }
#endif
    for (int32_t i = 0; i < twos; i++) {
        nn_dot_columns_s8_dsp(stream, spread, y, 2, groups, head, unroll, pitch, 8, out_c, shift,
                              out_zp, lo, hi, floats, add);
        spread += 2 * stride_w * block;
        y += 2 * out_c;
    }
    if (3 * threes + 2 * twos < cols) {
        nn_dot_columns_s8_dsp(stream, spread, y, 1, groups, head, unroll, pitch, 8, out_c, shift,
                              out_zp, lo, hi, floats, add);
    }
#endif
}

/* `strip`: output columns of a strip, but for the last. `hold`: copy the weights of a pair of filters to
   scratch for each row of at least so many columns, for cores whose flash is slower than their RAM (0:
   never). Scratch: 2 * kernel_h * in_c *
   ((strip - 1) * stride_w + kernel_w) bytes; to hold, a record's words in eights. The stream ends with 8
   unused words. */
NN_KERNEL void nn_conv2d_s8_dsp_rows(int32_t batch, int32_t in_h, int32_t in_w, int32_t in_c,
                                     int32_t out_h, int32_t out_w, int32_t out_c, int32_t kernel_h,
                                     int32_t kernel_w, int32_t stride_h, int32_t stride_w,
                                     int32_t pad_top, int32_t pad_left, int32_t in_zp,
                                     int32_t strip, int32_t head, int32_t unroll, int32_t shift,
                                     int32_t out_zp, int32_t lo, int32_t hi, int32_t floats,
                                     int32_t hold, const nn_residual *add, const int8_t *x,
                                     const uint32_t *stream, int8_t *y, uint8_t *scratch)
{
    const int32_t groups = kernel_h * kernel_w * in_c / 4;
    const int32_t slot = in_c / 2;         /* words of one pixel */
    const int32_t block = kernel_h * slot; /* words of one column */
    const int32_t kept = kernel_h > stride_h ? kernel_h - stride_h : 0;
    const uint32_t pad = (uint32_t)(uint8_t)in_zp * 0x01010101u;
    uint32_t *const spread = (uint32_t *)(void *)scratch;
    uint32_t *const held = spread + ((strip - 1) * stride_w + kernel_w) * block;

    for (int32_t n = 0; n < batch; n++) {
        for (int32_t ow = 0; ow < out_w; ow += strip) {
            const int32_t cols = out_w - ow < strip ? out_w - ow : strip;
            const int32_t width = (cols - 1) * stride_w + kernel_w;
            const int32_t left = ow == 0 ? pad_left : 0; /* columns of padding */
            const int32_t iw = ow == 0 ? 0 : ow * stride_w - pad_left;
            const int32_t used = in_w - iw < width - left ? in_w - iw : width - left;
            uint32_t *const body = spread + left * block;
            int8_t *to = y + ow * out_c;

            nn_spread_row(NULL, left * kernel_h, in_c, slot, pad, spread);
            nn_spread_row(NULL, (width - left - used) * kernel_h, in_c, slot, pad,
                          body + used * block);
            for (int32_t oh = 0; oh < out_h; oh++) {
                const int32_t ih = oh * stride_h - pad_top;
                if (oh > 0 && kept > 0) {
                    for (int32_t i = 0; i < used; i++) {
                        nn_move_up(body + i * block, kept * slot, stride_h * slot);
                    }
                }
                for (int32_t kh = oh > 0 ? kept : 0; kh < kernel_h; kh++) {
                    if (ih + kh >= 0 && ih + kh < in_h) {
                        nn_spread_row(x + ((ih + kh) * in_w + iw) * in_c, used, in_c, block, pad,
                                      body + kh * slot);
                    } else {
                        nn_spread_row(NULL, used, in_c, block, pad, body + kh * slot);
                    }
                }
                nn_filter_row(out_w, cols, stride_w, block, hold, held, stream, spread, to, groups,
                              head, unroll, out_c, shift, out_zp, lo, hi, floats, add);
                to += out_w * out_c;
            }
        }
        x += in_h * in_w * in_c;
        y += out_h * out_w * out_c;
    }
}

#endif
