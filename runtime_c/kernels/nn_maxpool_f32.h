/* SPDX-License-Identifier: MIT
 *
 * The largest element under a window, plain C; padding never wins. x[N,H,W,C], y[N,Ho,Wo,C].
 * A window with nothing but padding gives -infinity.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_MAXPOOL_F32_H
#define NN_MAXPOOL_F32_H

#include "nn_common.h"

NN_KERNEL void nn_maxpool_f32(const nn_window *p, const float *x, float *y)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                for (int32_t c = 0; c < p->in_c; c++) {
                    float best = -__builtin_inff();
                    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
                        const int32_t ih = oh * p->stride_h - p->pad_top + kh * p->dilation_h;
                        if (ih < 0 || ih >= p->in_h) {
                            continue;
                        }
                        for (int32_t kw = 0; kw < p->kernel_w; kw++) {
                            const int32_t iw = ow * p->stride_w - p->pad_left + kw * p->dilation_w;
                            if (iw >= 0 && iw < p->in_w) {
                                const float value = x[(ih * p->in_w + iw) * p->in_c + c];
                                best = value > best ? value : best;
                            }
                        }
                    }
                    *y++ = best;
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

#endif
