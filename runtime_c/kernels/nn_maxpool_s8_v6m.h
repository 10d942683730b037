/* SPDX-License-Identifier: MIT
 *
 * The largest element under a window without dilation, for cores without the DSP extension: windows are clipped once per
 * pixel. A window with nothing but padding gives -128.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_MAXPOOL_S8_V6M_H
#define NN_MAXPOOL_S8_V6M_H

#include "nn_clip.h"

NN_KERNEL void nn_maxpool_s8_v6m(const nn_window *p, const int8_t *x, int8_t *y)
{
    const int32_t channels = p->in_c;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oh = 0; oh < p->out_h; oh++) {
            for (int32_t ow = 0; ow < p->out_w; ow++) {
                const nn_clip clip = nn_clipped(p, oh, ow);
                const int8_t *from = x + clip.first * channels;
                for (int32_t c = 0; c < channels; c++) {
                    int32_t best = -128;
                    for (int32_t i = 0; i < clip.rows; i++) {
                        for (int32_t j = 0; j < clip.cols; j++) {
                            const int32_t value = from[(i * p->in_w + j) * channels];
                            best = value > best ? value : best;
                        }
                    }
                    *y++ = (int8_t)best;
                    from++;
                }
            }
        }
        x += p->in_h * p->in_w * channels;
    }
}

#endif
