/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution, plain C: groups = Ci, Co a multiple of Ci, any window.
 * x[N,H,W,Ci], w[Co,Kh,Kw], y[N,Ho,Wo,Co]; bias[Co] may be NULL.
 * Sums start from the bias and run over kernel rows, then columns.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_DEPTHWISE_F32_H
#define NN_DEPTHWISE_F32_H

#include "nn_common.h"

NN_KERNEL void nn_depthwise_f32(const nn_window *p, float lo, float hi, const float *x,
                                const float *restrict w, const float *restrict bias,
                                float *y)
{
    const int32_t fan_out = p->out_c / p->in_c;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const int32_t ih0 = oh * p->stride_h - p->pad_top;
                const int32_t iw0 = ow * p->stride_w - p->pad_left;
                const float *tap = w;
                for (int32_t oc = 0; oc < p->out_c; oc++) {
                    const float *const channel = x + oc / fan_out;
                    float acc = bias != NULL ? bias[oc] : 0.0f;

                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = ih0 + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            tap += p->kernel_w;
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++, tap++) {
                            const int32_t iw = iw0 + kw * p->dilation_w;
                            if (iw >= 0 && iw < p->in_w) {
                                acc += channel[(ih * p->in_w + iw) * p->in_c] * *tap;
                            }
                        }
                    }
                    *y++ = nn_clamp_f32(acc, lo, hi);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
