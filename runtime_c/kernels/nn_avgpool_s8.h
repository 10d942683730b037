/* SPDX-License-Identifier: MIT
 *
 * The mean under a window on int8, as ONNX Runtime's QLinearAveragePool, and as its ReduceMean in float32
 * between dequantization and quantization: dequantized elements are summed in float32 over rows, then
 * columns, divided by the count and quantized. x[N,H,W,C], y[N,Ho,Wo,C]. `pads_count` tells whether padding
 * counts, as zeros; `early_zp` whether the zero point is added before rounding, in float32. `origin` is what
 * to add to an int8 for the integer that the file has (128 for uint8): float32 rounds where that lies.
 */
#ifndef NN_AVGPOOL_S8_H
#define NN_AVGPOOL_S8_H

#include "nn_common.h"

typedef struct {
    float in_scale, out_scale;
    int32_t in_zp, out_zp;
    int32_t lo, hi;
    int32_t pads_count;
    int32_t early_zp;
    int32_t origin;
} nn_mean;

NN_KERNEL void nn_avgpool_s8(const nn_window *p, const nn_mean *q, const int8_t *restrict x,
                             int8_t *restrict y)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                for (int32_t c = 0; c < p->in_c; c++) {
                    float sum = 0.0f;
                    int32_t inside = 0;
                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++) {
                            const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
                            if (iw >= 0 && iw < p->in_w) {
                                const int32_t value = x[(ih * p->in_w + iw) * p->in_c + c];
                                sum += (float)(value - q->in_zp) * q->in_scale;
                                inside++;
                            }
                        }
                    }
                    sum /= (float)(q->pads_count != 0 ? p->kernel_h * p->kernel_w : inside);
                    sum /= q->out_scale;
                    if (q->early_zp != 0) {
                        *y++ = nn_quantize_s8(sum + (float)(q->out_zp + q->origin), -q->origin,
                                              q->lo, q->hi);
                    } else {
                        *y++ = nn_quantize_s8(sum, q->out_zp, q->lo, q->hi);
                    }
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
