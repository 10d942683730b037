/* SPDX-License-Identifier: MIT
 *
 * The mean under a window, plain C. x[N,H,W,C], y[N,Ho,Wo,C]. `pads_count` tells whether padding counts
 * as zeros, up to pad_bottom and pad_right (a last window may reach further) or not at all.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_AVGPOOL_F32_H
#define NN_AVGPOOL_F32_H

#include "nn_common.h"

NN_KERNEL void nn_avgpool_f32(const nn_window *p, int32_t pad_bottom, int32_t pad_right,
                              int32_t pads_count, float lo, float hi, const float *x,
                              float *y)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                for (int32_t c = 0; c < p->in_c; c++) {
                    float sum = 0.0f;
                    int32_t inside = 0;
                    int32_t padded = 0;
                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
                        if (ih >= p->in_h + pad_bottom) {
                            break;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++) {
                            const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
                            if (iw >= p->in_w + pad_right) {
                                break;
                            }
                            padded++;
                            if (ih >= 0 && ih < p->in_h && iw >= 0 && iw < p->in_w) {
                                inside++;
                                sum += x[(ih * p->in_w + iw) * p->in_c + c];
                            }
                        }
                    }
                    sum /= (float)(pads_count != 0 ? padded : inside);
                    *y++ = nn_clamp_f32(sum, lo, hi);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
