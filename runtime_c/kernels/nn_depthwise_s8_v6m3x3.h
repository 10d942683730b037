/* SPDX-License-Identifier: MIT
 *
 * Depthwise 3x3 convolution, stride 1 or 2, on cores without DSP extension, in blocks of nine taps.
 * y may be x where each has one image and y as many channels, and no more pixels.
 */
#ifndef NN_DEPTHWISE_S8_V6M3X3_H
#define NN_DEPTHWISE_S8_V6M3X3_H

#include "nn_planes_v6m.h"

#define NN_FOUR_V6M(row)                                                                          \
    NN_SUMS_V6M(row "add r0, r0, r12\n" row "add r0, r0, r12\n" row, from, w, zeros, 0u,  \
                (uint32_t)width, sums)

/* Sums of four windows, `stride` bytes apart. */
NN_INLINE void nn_four3x3_v6m(const uint8_t *from, const int32_t *w, int32_t width, int32_t stride,
                              uint32_t *sums)
{
#if NN_V6M_BLOCKS
    static const uint32_t zeros[4] = {0u, 0u, 0u, 0u};
    if (stride == 1) {
        NN_FOUR_V6M(NN_ROW1_V6M);
    } else {
        NN_FOUR_V6M(NN_ROW2_V6M);
    }
#else
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0u;
        for (int32_t k = 0; k < 9; k++) {
            sums[i] += (uint32_t)(from[k / 3 * width + k % 3 + i * stride] * w[k]);
        }
    }
#endif
}

NN_INLINE uint32_t nn_one3x3_v6m(const uint8_t *at, const int32_t *w, int32_t width)
{
    int32_t sum = 0;
    for (int32_t kh = 0; kh < 3; kh++) {
        sum += at[0] * w[0] + at[1] * w[1] + at[2] * w[2];
        at += width;
        w += 3;
    }
    return (uint32_t)sum;
}

/* One output channel. */
NN_ONE_BODY void nn_channel3x3_v6m(const nn_planes_v6m *p, int32_t stride, const uint8_t *plane,
                                   const int32_t *w, const int32_t *record, int8_t *y)
{
    const nn_end_v6m end = {p->low_shift, p->out_zp, p->lo, p->hi};
    const int32_t low_shift = p->low_shift, width = p->width;
    const int32_t out_c = p->in_c * p->per_in;

    for (int32_t oh = 0; oh < p->out_h; oh++) {
        const uint8_t *at = plane;
        int32_t ow = p->out_w;
        for (; ow >= 4; ow -= 4) {
            uint32_t sums[4];
            nn_four3x3_v6m(at, w, width, stride, sums);
            at += 4 * stride;
            for (int32_t i = 0; i < 4; i += 2) {
                nn_requant3_v6m(sums + i, record, low_shift, &end, 0, y, y + out_c, y);
                y += 2 * out_c;
            }
        }
        for (; ow > 0; ow--) {
            *y = nn_requant_v6m(nn_one3x3_v6m(at, w, width), record, low_shift, &end);
            y += out_c;
            at += stride;
        }
        plane += stride * width;
    }
}

NN_ONE_BODY void nn_depthwise3x3_v6m(const nn_planes_v6m *p, const int8_t *x, const int8_t *w,
                                     const int32_t *records, int8_t *y, uint8_t *scratch)
{
    nn_clear_v6m(p, scratch);
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *filter = w;
        const int32_t *record = records;
        int8_t *to = y;
        for (int32_t c = 0; c < p->in_c; c++) {
            nn_fill_v6m(p, x + c, scratch);
            for (int32_t i = 0; i < p->per_in; i++) {
                int32_t wide[9];
                filter = nn_widen_v6m(9, p->w_zp, filter, wide);
                nn_channel3x3_v6m(p, p->stride_w, scratch, wide, record, to++);
                record += NN_RECORD_V6M;
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->in_c * p->per_in;
    }
}

/* w[Co][3][3], records per output channel; scratch: a plane. */
NN_KERNEL void nn_depthwise_s8_v6m3x3(const nn_planes_v6m *p, const int8_t *x, const int8_t *w,
                                      const int32_t *records, int8_t *y, uint8_t *scratch)
{
    nn_depthwise3x3_v6m(p, x, w, records, y, scratch);
}

#endif
