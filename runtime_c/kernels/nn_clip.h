/* SPDX-License-Identifier: MIT
 *
 * What of a pooling window lies inside the image, found once per output pixel. No dilation.
 */
#ifndef NN_CLIP_H
#define NN_CLIP_H

#include "nn_common.h"

/* rows x cols pixels from the one at `first`, counted in pixels; none where a window is all padding. */
typedef struct {
    int32_t first, rows, cols;
} nn_clip;

/* Whether all windows lie inside; known when the code is compiled, as is then the size of all clips. */
NN_INLINE int nn_is_whole(const nn_window *p)
{
    return p->pad_top == 0 && p->pad_left == 0 &&
           (p->out_h - 1) * p->stride_h + p->kernel_h <= p->in_h &&
           (p->out_w - 1) * p->stride_w + p->kernel_w <= p->in_w;
}

NN_INLINE nn_clip nn_clipped(const nn_window *p, int32_t oh, int32_t ow)
{
    const int32_t ih = oh * p->stride_h - p->pad_top, iw = ow * p->stride_w - p->pad_left;
    nn_clip clip = {ih * p->in_w + iw, p->kernel_h, p->kernel_w};

    if (!nn_is_whole(p)) {
        const int32_t top = ih < 0 ? 0 : ih, left = iw < 0 ? 0 : iw;
        const int32_t bottom = ih + p->kernel_h < p->in_h ? ih + p->kernel_h : p->in_h;
        const int32_t right = iw + p->kernel_w < p->in_w ? iw + p->kernel_w : p->in_w;
        clip.first = top * p->in_w + left;
        clip.rows = bottom - top;
        clip.cols = right - left;
    }
    return clip;
}

#endif
