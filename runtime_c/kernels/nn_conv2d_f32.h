/* SPDX-License-Identifier: MIT
 *
 * Convolution, plain C: any kernel, stride, padding, dilation and groups.
 * x[N,H,W,Ci], w[Co,Kh,Kw,Ci/groups], y[N,Ho,Wo,Co]; bias[Co] may be NULL.
 * Sums start from the bias and run over kernel rows, columns, channels.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_CONV2D_F32_H
#define NN_CONV2D_F32_H

#include "nn_common.h"

NN_KERNEL void nn_conv2d_f32(const nn_window *p, float lo, float hi, const float *x,
                             const float *restrict w, const float *restrict bias,
                             float *y)
{
    const int32_t group_in = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                for (int32_t oc = 0; oc < p->out_c; oc++) {
                    const float *const x_group = x + oc / group_out * group_in;
                    const float *tap = w + oc * p->kernel_h * p->kernel_w * group_in;
                    float acc = bias != NULL ? bias[oc] : 0.0f;

                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            tap += p->kernel_w * group_in;
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++, tap += group_in) {
                            const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
                            const float *const pixel = x_group + (ih * p->in_w + iw) * p->in_c;
                            if (iw < 0 || iw >= p->in_w) {
                                continue;
                            }
                            for (int32_t ic = 0; ic < group_in; ic++) {
                                acc += pixel[ic] * tap[ic];
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
