/* SPDX-License-Identifier: MIT
 *
 * Convolution, plain C: any kernel, stride, padding, dilation and groups.
 * x[N,H,W,Ci], w[Co,Kh,Kw,Ci/groups], y[N,Ho,Wo,Co]; bias[Co] and w_zp[Co] may be NULL.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_CONV2D_S8_H
#define NN_CONV2D_S8_H

#include "nn_requant.h"

NN_KERNEL void nn_conv2d_s8(const nn_window *p, const nn_requant *q, const int8_t *x,
                            const int8_t *restrict w, const int32_t *restrict bias,
                            const int32_t *restrict w_zp, const float *restrict multiplier,
                            int8_t *y)
{
    const int32_t group_in = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    const int32_t in_zp = q->in_zp;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                for (int32_t oc = 0; oc < p->out_c; oc++) {
                    const int32_t zp = w_zp != NULL ? w_zp[oc] : 0;
                    const int8_t *const x_group = x + oc / group_out * group_in;
                    const int8_t *tap = w + oc * p->kernel_h * p->kernel_w * group_in;
                    int32_t acc = bias != NULL ? bias[oc] : 0;

                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            tap += p->kernel_w * group_in;
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++, tap += group_in) {
                            const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
                            const int8_t *const pixel = x_group + (ih * p->in_w + iw) * p->in_c;
                            if (iw < 0 || iw >= p->in_w) {
                                continue;
                            }
                            acc = nn_inner_s8(acc, group_in, pixel, in_zp, tap, zp);
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
