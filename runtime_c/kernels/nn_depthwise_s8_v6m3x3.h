/* SPDX-License-Identifier: MIT
 *
 * Depthwise 3x3 convolution, stride 1 or 2, on cores without DSP extension: channel by channel over a plane
 * of x + 128 in scratch, four outputs of a row at a time. y may be x where the shapes agree.
 */
#ifndef NN_DEPTHWISE_S8_V6M3X3_H
#define NN_DEPTHWISE_S8_V6M3X3_H

#include "nn_v6m.h"

/* Planes of height x width bytes, just large enough for all windows. */
typedef struct {
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, per_in;
    int32_t stride, pad_top, pad_left;
    int32_t height, width, in_zp;
    int32_t low_shift, out_zp, lo, hi;
} nn_planes_v6m;

/* r2 is an input: its product with a weight, the last one or not, into a sum. */
#define NN_USE_V6M(w, sum) "movs r3, r2\nmuls r3, " w ", r3\nadd " sum ", " sum ", r3\n"
#define NN_LAST_V6M(w, sum) "muls r2, " w ", r2\nadd " sum ", " sum ", r2\n"
#define NN_LOAD_V6M(i) "ldrb r2, [r0, #" i "]\n"

#define NN_ROW1_V6M                                                                            \
    "ldmia r1!, {r4, r5, r6}\n"                                                                \
    NN_LOAD_V6M("0") NN_LAST_V6M("r4", "r8")                                                   \
    NN_LOAD_V6M("1") NN_USE_V6M("r5", "r8") NN_LAST_V6M("r4", "r9")                            \
    NN_LOAD_V6M("2") NN_USE_V6M("r6", "r8") NN_USE_V6M("r5", "r9") NN_LAST_V6M("r4", "r10")    \
    NN_LOAD_V6M("3") NN_USE_V6M("r6", "r9") NN_USE_V6M("r5", "r10") NN_LAST_V6M("r4", "r11")   \
    NN_LOAD_V6M("4") NN_USE_V6M("r6", "r10") NN_LAST_V6M("r5", "r11")                          \
    NN_LOAD_V6M("5") NN_LAST_V6M("r6", "r11")

#define NN_ROW2_V6M                                                   \
    "ldmia r1!, {r4, r5, r6}\n"                                       \
    NN_LOAD_V6M("0") NN_LAST_V6M("r4", "r8")                          \
    NN_LOAD_V6M("1") NN_LAST_V6M("r5", "r8")                          \
    NN_LOAD_V6M("2") NN_USE_V6M("r6", "r8") NN_LAST_V6M("r4", "r9")   \
    NN_LOAD_V6M("3") NN_LAST_V6M("r5", "r9")                          \
    NN_LOAD_V6M("4") NN_USE_V6M("r6", "r9") NN_LAST_V6M("r4", "r10")  \
    NN_LOAD_V6M("5") NN_LAST_V6M("r5", "r10")                         \
    NN_LOAD_V6M("6") NN_USE_V6M("r6", "r10") NN_LAST_V6M("r4", "r11") \
    NN_LOAD_V6M("7") NN_LAST_V6M("r5", "r11")                         \
    NN_LOAD_V6M("8") NN_LAST_V6M("r6", "r11")

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

/* rows x cols inputs, step bytes apart, into a plane. */
NN_ONE_BODY void nn_gather_v6m(int32_t rows, int32_t cols, int32_t step, int32_t row_step,
                               int32_t width, const int8_t *x, uint8_t *plane)
{
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *from = (const uint8_t *)x;
        uint8_t *to = plane;
        int32_t i = cols;
        for (; i >= 4; i -= 4) {
            to[0] = (uint8_t)(*from + 128u);
            from += step;
            to[1] = (uint8_t)(*from + 128u);
            from += step;
            to[2] = (uint8_t)(*from + 128u);
            from += step;
            to[3] = (uint8_t)(*from + 128u);
            from += step;
            to += 4;
        }
        for (; i > 0; i--) {
            *to++ = (uint8_t)(*from + 128u);
            from += step;
        }
        x += row_step;
        plane += width;
    }
}

NN_ONE_BODY void nn_depthwise_v6m(const nn_planes_v6m *p, const int8_t *x, const int8_t *w,
                                  const int32_t *records, int8_t *y, uint8_t *scratch)
{
    const int32_t most_rows = p->height - p->pad_top, most_cols = p->width - p->pad_left;
    const int32_t rows = p->in_h < most_rows ? p->in_h : most_rows;
    const int32_t cols = p->in_w < most_cols ? p->in_w : most_cols;
    const int32_t row_step = p->in_w * p->in_c;

    for (int32_t i = 0; i < p->height * p->width; i++) {
        scratch[i] = (uint8_t)(p->in_zp + 128);
    }
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *filter = w;
        const int32_t *record = records;
        int8_t *to = y;
        for (int32_t c = 0; c < p->in_c; c++) {
            nn_gather_v6m(rows, cols, p->in_c, row_step, p->width, x + c,
                          scratch + p->pad_top * p->width + p->pad_left);
            for (int32_t i = 0; i < p->per_in; i++) {
                int32_t wide[9];
                for (int32_t k = 0; k < 9; k++) {
                    wide[k] = *filter++;
                }
                nn_channel3x3_v6m(p, p->stride, scratch, wide, record, to++);
                record += NN_RECORD_V6M;
            }
        }
        x += p->in_h * row_step;
        y += p->out_h * p->out_w * p->in_c * p->per_in;
    }
}

/* w[Co][3][3], records per output channel; scratch: a plane. */
NN_KERNEL void nn_depthwise_s8_v6m3x3(const nn_planes_v6m *p, const int8_t *x, const int8_t *w,
                                      const int32_t *records, int8_t *y, uint8_t *scratch)
{
    nn_depthwise_v6m(p, x, w, records, y, scratch);
}

#endif
