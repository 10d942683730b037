/* SPDX-License-Identifier: MIT
 *
 * 1x1 convolution (and a fully connected layer of several rows) on cores with the DSP extension:
 * pixels are spread three at a time and multiplied with all filters (nn_dot_s8_dsp.h).
 * y may overlap x as long as no output is written before the inputs up to its pixel are read; with `add`
 * (an even number of filters) y holds what is added to (nn_dot_s8_dsp.h).
 */
#ifndef NN_CONV2D_S8_DSP_POINTS_H
#define NN_CONV2D_S8_DSP_POINTS_H

#include "nn_dot_s8_dsp.h"

NN_INLINE void nn_spread_points(int32_t cols, int32_t col_step, int32_t in_c, const int8_t *x,
                                uint32_t *to)
{
    for (int32_t c = 0; c < cols; c++) {
        const int8_t *from = x + c * col_step;
        uint32_t *place = to + 2 * c;
        for (int32_t g = 0; g < in_c / 4; g++) {
            nn_spread4(nn_load4(from), place);
            from += 4;
            place += 2 * cols;
        }
        if ((in_c & 3) != 0) {
            uint32_t word = 0u;
            for (int32_t i = 0; i < (in_c & 3); i++) {
                word |= (uint32_t)(uint8_t)from[i] << (8 * i);
            }
            nn_spread4(word, place);
        }
    }
}

/* `rows` rows of `row_cols` pixels that lie row_step and col_step bytes apart; scratch: 24 bytes per
   group of four input channels; `hold` words of the stream are copied there first (in eights, for cores
   whose flash is slower than their RAM). */
NN_KERNEL void nn_conv2d_s8_dsp_points(int32_t rows, int32_t row_step, int32_t row_cols,
                                       int32_t col_step, int32_t in_c, int32_t out_c, int32_t head,
                                       int32_t unroll, int32_t shift, int32_t out_zp, int32_t lo,
                                       int32_t hi, int32_t floats, int32_t hold,
                                       const nn_residual *add, const int8_t *x,
                                       const uint32_t *stream, int8_t *y, uint8_t *scratch)
{
    const int32_t groups = (in_c + 3) / 4;
    const int32_t twos = row_cols % 3 == 2 ? 1 : row_cols % 3 == 1 && row_cols > 3 ? 2 : 0;
    const int32_t threes = (row_cols - 2 * twos) / 3;
    uint32_t *const spread = (uint32_t *)(void *)scratch;

    if (hold != 0) {
        nn_hold(hold, stream, spread + 6 * groups);
        stream = spread + 6 * groups;
    }
    for (int32_t r = 0; r < rows; r++) {
        const int8_t *from = x + r * row_step;
        for (int32_t i = 0; i < threes; i++) {
            nn_spread_points(3, col_step, in_c, from, spread);
            nn_dot_columns_s8_dsp(stream, spread + 2, y, 3, groups, head, unroll, 8, 24, out_c,
                                  shift, out_zp, lo, hi, floats, add);
            from += 3 * col_step;
            y += 3 * out_c;
        }
        for (int32_t i = 0; i < twos; i++) {
            nn_spread_points(2, col_step, in_c, from, spread);
            nn_dot_columns_s8_dsp(stream, spread, y, 2, groups, head, unroll, 8, 16, out_c, shift,
                                  out_zp, lo, hi, floats, add);
            from += 2 * col_step;
            y += 2 * out_c;
        }
        if (row_cols == 1) {
            nn_spread_points(1, col_step, in_c, from, spread);
            nn_dot_columns_s8_dsp(stream, spread, y, 1, groups, head, unroll, 8, 8, out_c, shift,
                                  out_zp, lo, hi, floats, add);
            y += out_c;
        }
    }
}

#endif
