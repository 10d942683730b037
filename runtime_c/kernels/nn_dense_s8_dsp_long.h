/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer of one long row: chunks of inputs (nn_dense_s8_dsp.h), sums in scratch.
 */
#ifndef NN_DENSE_S8_DSP_LONG_H
#define NN_DENSE_S8_DSP_LONG_H

#include "nn_dense_s8_dsp.h"

/* `chunk` inputs at a time, a multiple of 4 that divides the depth filled up to fours; biases hold what
   the chunks' sums leave out. Scratch: 2 * chunk bytes, and 4 per output, in fours. */
NN_KERNEL void nn_dense_s8_dsp_long(int32_t depth, int32_t chunk, int32_t cols, int32_t head,
                                    int32_t unroll, const nn_requant *q, const int8_t *x,
                                    const uint32_t *stream, const int32_t *bias,
                                    const float *multiplier, int8_t *y, uint8_t *scratch)
{
    uint32_t *const spread = (uint32_t *)(void *)scratch;
    int32_t *const sums = (int32_t *)(void *)(spread + chunk / 2);
    const int32_t filters = (cols + 3) & ~3;

    for (int32_t i = 0; i < filters; i++) {
        sums[i] = i < cols ? bias[i] : 0;
    }
    for (int32_t k = 0; k < depth; k += chunk) {
        const int32_t left = depth - k;
        nn_spread_run(x + k, left < chunk ? left : chunk, spread);
        stream = nn_dense_s8_dsp_filters(stream, spread, sums, sums + filters, 1, chunk / 4, head,
                                         unroll, 1, 0, -128, 127, 0);
    }
    for (int32_t i = 0; i < cols; i++) {
        y[i] = nn_requant_s8(sums[i], multiplier[i * q->per_channel], q);
    }
}

#endif
