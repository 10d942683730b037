/* SPDX-License-Identifier: MIT
 *
 * The mean over all pixels on int8, as ONNX Runtime's QLinearGlobalAveragePool: integer sums, one
 * multiplier = in_scale / (out_scale * pixels). x[N,P,C], y[N,C].
 */
#ifndef NN_GLOBAL_AVGPOOL_S8_H
#define NN_GLOBAL_AVGPOOL_S8_H

#include "nn_requant.h"

NN_KERNEL void nn_global_avgpool_s8(int32_t batch, int32_t pixels, int32_t channels,
                                    const nn_requant *q, float multiplier,
                                    const int8_t *restrict x, int8_t *restrict y)
{
    for (int32_t n = 0; n < batch; n++, x += pixels * channels) {
        for (int32_t c = 0; c < channels; c++) {
            int32_t acc = -pixels * q->in_zp;
            for (int32_t i = 0; i < pixels; i++) {
                acc += x[i * channels + c];
            }
            *y++ = nn_requant_s8(acc, multiplier, q);
        }
    }
}

#endif
