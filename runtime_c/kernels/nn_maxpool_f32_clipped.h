/* SPDX-License-Identifier: MIT
 *
 * The largest element under a window without dilation, for any core: windows are clipped once per
 * pixel. A window with nothing but padding gives -infinity.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_MAXPOOL_F32_CLIPPED_H
#define NN_MAXPOOL_F32_CLIPPED_H

#include "nn_clip.h"

NN_KERNEL void nn_maxpool_f32_clipped(const nn_window *p, const float *x, float *y)
{
    const int32_t channels = p->in_c;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const nn_clip clip = nn_clipped(p, oh, ow);
                const float *from = x + clip.first * channels;
                for (int32_t c = 0; c < channels; c++) {
                    float best = -__builtin_inff();
                    for (int32_t i = 0; i < clip.rows; i++) {
                        for (int32_t j = 0; j < clip.cols; j++) {
                            const float value = from[(i * p->in_w + j) * channels];
                            best = value > best ? value : best;
                        }
                    }
                    *y++ = best;
                    from++;
                }
            }
        }
        x += p->in_h * p->in_w * channels;
    }
}

#endif
