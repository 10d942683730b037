/* SPDX-License-Identifier: MIT
 *
 * The mean under a window on int8, as ONNX Runtime's QLinearAveragePool, and as its ReduceMean in float32
 * between dequantization and quantization: dequantized elements are summed in float32 over rows, then
 * columns, divided by the count and quantized. x[N,H,W,C], y[N,Ho,Wo,C]. `pads_count` tells whether padding
 * counts, as zeros; `early_zp` whether the zero point is added before rounding, in float32. `origin` is what
 * to add to an int8 for the integer that the file has (128 for uint8): float32 rounds where that lies.
 *
 * Cores without an FPU first take the mean of integers in fixed point, and float32 only where that leaves a
 * doubt or some elements are padding.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_AVGPOOL_S8_H
#define NN_AVGPOOL_S8_H

#include "nn_requant.h"

typedef struct {
    float in_scale, out_scale;
    int32_t in_zp, out_zp;
    int32_t lo, hi;
    int32_t pads_count;
    int32_t early_zp;
    int32_t origin;
    /* y + 1/2 of a sum of a whole window is factor * sum + offset with `shift` bits of fraction, at most
       `doubt` off. */
    int32_t factor, offset, shift, doubt;
} nn_mean;

/* One output: x points to the channel, ih0 and iw0 are where the window starts. */
NN_INLINE int8_t nn_mean_float(const nn_window *p, const nn_mean *q, const int8_t *x, int32_t ih0,
                               int32_t iw0)
{
    float sum = 0.0f;
    int32_t inside = 0;

    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
        const int32_t ih = ih0 + kh * p->dilation_h;
        if (ih < 0 || ih >= p->in_h) {
            continue;
        }
        for (int32_t kw = 0; kw < p->kernel_w; kw++) {
            const int32_t iw = iw0 + kw * p->dilation_w;
            if (iw >= 0 && iw < p->in_w) {
                sum += (float)(x[(ih * p->in_w + iw) * p->in_c] - q->in_zp) * q->in_scale;
                inside++;
            }
        }
    }
    sum /= (float)(q->pads_count != 0 ? p->kernel_h * p->kernel_w : inside);
    sum /= q->out_scale;
    if (q->early_zp != 0) {
        return nn_quantize_s8(sum + (float)(q->out_zp + q->origin), -q->origin, q->lo, q->hi);
    }
    return nn_quantize_s8(sum, q->out_zp, q->lo, q->hi);
}

#if defined(NN_REQUANT_INTEGER)

NN_RARE int8_t nn_mean_doubtful(const nn_window *p, const nn_mean *q, const int8_t *x, int32_t ih0,
                                int32_t iw0)
{
    return nn_mean_float(p, q, x, ih0, iw0);
}

NN_INLINE int8_t nn_mean_value(const nn_window *p, const nn_mean *q, const int8_t *x, int32_t ih0,
                               int32_t iw0)
{
    int32_t sum = 0;

    if (ih0 < 0 || ih0 + (p->kernel_h - 1) * p->dilation_h >= p->in_h || iw0 < 0 ||
        iw0 + (p->kernel_w - 1) * p->dilation_w >= p->in_w) {
        return nn_mean_doubtful(p, q, x, ih0, iw0);
    }
    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
        const int8_t *pixel = x + ((ih0 + kh * p->dilation_h) * p->in_w + iw0) * p->in_c;
        for (int32_t kw = 0; kw < p->kernel_w; kw++, pixel += p->dilation_w * p->in_c) {
            sum += *pixel;
        }
    }
    sum = sum * q->factor + q->offset;
    if (nn_is_doubtful(sum, q->shift, q->doubt)) {
        return nn_mean_doubtful(p, q, x, ih0, iw0);
    }
    return (int8_t)nn_clamp_s32(sum >> q->shift, q->lo, q->hi);
}

#else

NN_INLINE int8_t nn_mean_value(const nn_window *p, const nn_mean *q, const int8_t *x, int32_t ih0,
                               int32_t iw0)
{
    return nn_mean_float(p, q, x, ih0, iw0);
}

#endif

NN_KERNEL void nn_avgpool_s8(const nn_window *p, const nn_mean *q, const int8_t *x,
                             int8_t *y)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            const int32_t ih0 = oh * p->stride_h - p->pad_top;
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const int32_t iw0 = ow * p->stride_w - p->pad_left;
                for (int32_t c = 0; c < p->in_c; c++) {
                    *y++ = nn_mean_value(p, q, x + c, ih0, iw0);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
