/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution, plain C: groups = Ci, Co a multiple of Ci, any window.
 * x[N,H,W,Ci], w[Co,Kh,Kw], y[N,Ho,Wo,Co]; bias[Co] and w_zp[Co] may be NULL.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_DEPTHWISE_S8_H
#define NN_DEPTHWISE_S8_H

#include "nn_requant.h"

NN_KERNEL void nn_depthwise_s8(const nn_window *p, const nn_requant *q, const int8_t *x,
                               const int8_t *restrict w, const int32_t *restrict bias,
                               const int32_t *restrict w_zp, const float *restrict multiplier,
                               int8_t *y)
{
    const int32_t fan_out = p->out_c / p->in_c;
    const int32_t in_zp = q->in_zp;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const int32_t ih0 = oh * p->stride_h - p->pad_top;
                const int32_t iw0 = ow * p->stride_w - p->pad_left;
                const int8_t *tap = w;
                for (int32_t oc = 0; oc < p->out_c; oc++) {
                    const int32_t zp = w_zp != NULL ? w_zp[oc] : 0;
                    const int8_t *const channel = x + oc / fan_out;
                    int32_t acc = bias != NULL ? bias[oc] : 0;

                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = ih0 + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            tap += p->kernel_w;
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++, tap++) {
                            const int32_t iw = iw0 + kw * p->dilation_w;
                            if (iw >= 0 && iw < p->in_w) {
                                const int32_t value = channel[(ih * p->in_w + iw) * p->in_c];
                                acc = nn_add_wrap(acc, (value - in_zp) * (*tap - zp));
                            }
                        }
                    }
                    *y++ = nn_requant_s8(acc, multiplier[oc * q->per_channel], q);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
