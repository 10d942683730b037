/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution with any window, columns 1 or 2 apart, on cores without DSP extension. A window is a
 * strip of five or seven columns, or is cut into strips of three and two, whose sums add up; a single column
 * has a second one of zeros.
 * y may be x where each has one image and y as many channels, and no more pixels.
 */
#ifndef NN_DEPTHWISE_S8_V6M_H
#define NN_DEPTHWISE_S8_V6M_H

#include "nn_planes_v6m.h"

/* The window: `count` strips of `wide` columns (3, 5 or 7), then `twos` of two; its rows are row_step bytes
   apart. */
typedef struct {
    int32_t rows, wide, count, twos;
    int32_t row_step;
} nn_strips_v6m;

/* As the rows of three, of two weights, from where these inputs lie. */
#define NN_PAIR1_V6M(i0, i1, i2, i3, i4)                            \
    "ldmia r1!, {r4, r5}\n"                                         \
    NN_LOAD_V6M(i0) NN_LAST_V6M("r4", "r8")                         \
    NN_LOAD_V6M(i1) NN_USE_V6M("r5", "r8") NN_LAST_V6M("r4", "r9")  \
    NN_LOAD_V6M(i2) NN_USE_V6M("r5", "r9") NN_LAST_V6M("r4", "r10") \
    NN_LOAD_V6M(i3) NN_USE_V6M("r5", "r10") NN_LAST_V6M("r4", "r11") \
    NN_LOAD_V6M(i4) NN_LAST_V6M("r5", "r11")

#define NN_PAIR2_V6M(i0, i1, i2, i3, i4, i5, i6, i7) \
    "ldmia r1!, {r4, r5}\n"                          \
    NN_LOAD_V6M(i0) NN_LAST_V6M("r4", "r8")          \
    NN_LOAD_V6M(i1) NN_LAST_V6M("r5", "r8")          \
    NN_LOAD_V6M(i2) NN_LAST_V6M("r4", "r9")          \
    NN_LOAD_V6M(i3) NN_LAST_V6M("r5", "r9")          \
    NN_LOAD_V6M(i4) NN_LAST_V6M("r4", "r10")         \
    NN_LOAD_V6M(i5) NN_LAST_V6M("r5", "r10")         \
    NN_LOAD_V6M(i6) NN_LAST_V6M("r4", "r11")         \
    NN_LOAD_V6M(i7) NN_LAST_V6M("r5", "r11")

/* Rows of two, five and seven, columns 1 and 2 apart. */
#define NN_ROW1_OF2_V6M NN_PAIR1_V6M("0", "1", "2", "3", "4")
#define NN_ROW1_OF5_V6M NN_ROW1_V6M NN_PAIR1_V6M("3", "4", "5", "6", "7")
#define NN_ROW1_OF7_V6M NN_ROW1_OF5_V6M NN_PAIR1_V6M("5", "6", "7", "8", "9")
#define NN_ROW2_OF2_V6M NN_PAIR2_V6M("0", "1", "2", "3", "4", "5", "6", "7")
#define NN_ROW2_OF5_V6M NN_ROW2_V6M NN_PAIR2_V6M("3", "4", "5", "6", "7", "8", "9", "10")
#define NN_ROW2_OF7_V6M NN_ROW2_OF5_V6M NN_PAIR2_V6M("5", "6", "7", "8", "9", "10", "11", "12")

/* Rows until the weights end. */
#define NN_STRIP_V6M(row)                                                                          \
    NN_SUMS_V6M("push {r3}\n1:\n" row "add r0, r0, r12\nldr r2, [sp]\ncmp r1, r2\nbne 1b\n" \
                "add sp, sp, #4\n", from, w, sums, end, (uint32_t)row_step, sums)

/* Either of two rows. */
#define NN_STRIPS_V6M(row1, row2)  \
    do {                           \
        if (stride == 1) {         \
            NN_STRIP_V6M(row1);    \
        } else {                   \
            NN_STRIP_V6M(row2);    \
        }                          \
    } while (0)

/* `rows` of `wide` weights times what lies under them, into the sums of four windows that are `stride` bytes
   apart. */
NN_INLINE void nn_strip_v6m(const uint8_t *from, const int32_t *w, int32_t rows, int32_t wide,
                            int32_t row_step, int32_t stride, uint32_t *sums)
{
#if NN_V6M_BLOCKS
    const uint32_t end = (uint32_t)(uintptr_t)(w + rows * wide);
    if (wide == 2) {
        NN_STRIPS_V6M(NN_ROW1_OF2_V6M, NN_ROW2_OF2_V6M);
    } else if (wide == 3) {
        NN_STRIPS_V6M(NN_ROW1_V6M, NN_ROW2_V6M);
    } else if (wide == 5) {
        NN_STRIPS_V6M(NN_ROW1_OF5_V6M, NN_ROW2_OF5_V6M);
    } else {
        NN_STRIPS_V6M(NN_ROW1_OF7_V6M, NN_ROW2_OF7_V6M);
    }
#else
    for (int32_t i = 0; i < 4; i++) {
        for (int32_t k = 0; k < rows * wide; k++) {
            sums[i] += (uint32_t)(from[k / wide * row_step + k % wide + i * stride] * w[k]);
        }
    }
#endif
}

/* The sums of four windows. */
NN_INLINE void nn_four_v6m(const nn_strips_v6m *s, const uint8_t *at, const int32_t *w, int32_t stride,
                           uint32_t *sums)
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0u;
    }
    for (int32_t i = 0; i < s->count; i++) {
        nn_strip_v6m(at, w, s->rows, s->wide, s->row_step, stride, sums);
        at += s->wide;
        w += s->wide * s->rows;
    }
    for (int32_t i = 0; i < s->twos; i++) {
        nn_strip_v6m(at, w, s->rows, 2, s->row_step, stride, sums);
        at += 2;
        w += 2 * s->rows;
    }
}

/* One output channel. The last four of a row may repeat some; of less than four there is room for more. */
NN_ONE_BODY void nn_channel_v6m(const nn_planes_v6m *p, const nn_strips_v6m *s, const uint8_t *plane,
                                const int32_t *w, const int32_t *record, int8_t *y)
{
    const nn_end_v6m end = {p->low_shift, p->out_zp, p->lo, p->hi};
    const int32_t low_shift = p->low_shift, stride = p->stride_w;
    const int32_t out_c = p->in_c * p->per_in;
    const int32_t step1 = p->out_w > 1 ? out_c : 0;
    const int32_t step3 = p->out_w > 3 ? out_c : 0;

    for (int32_t oh = 0; oh < p->out_h; oh++) {
        for (int32_t next = 0; next < p->out_w; next += 4) {
            const int32_t last = p->out_w < 4 ? 0 : p->out_w - 4;
            const int32_t ow = next < last ? next : last;
            int8_t *to = y + ow * out_c;
            uint32_t sums[4];
            nn_four_v6m(s, plane + ow * stride, w, stride, sums);
            nn_requant3_v6m(sums, record, low_shift, &end, 0, to, to + step1, to);
            if (p->out_w > 2) {
                to += 2 * out_c;
                nn_requant3_v6m(sums + 2, record, low_shift, &end, 0, to, to + step3, to);
            }
        }
        y += p->out_w * out_c;
        plane += p->stride_h * p->width;
    }
}

NN_ONE_BODY void nn_depthwise_v6m(const nn_planes_v6m *p, const nn_strips_v6m *s, const int8_t *x,
                                  const int8_t *w, const int32_t *records, int8_t *y, uint8_t *scratch)
{
    const int32_t taps = s->rows * (s->wide * s->count + 2 * s->twos);
    int32_t *const wide = (int32_t *)(void *)scratch;
    uint8_t *const plane = (uint8_t *)(wide + taps);

    nn_clear_v6m(p, plane);
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *filter = w;
        const int32_t *record = records;
        int8_t *to = y;
        for (int32_t c = 0; c < p->in_c; c++) {
            nn_fill_v6m(p, x + c, plane);
            for (int32_t i = 0; i < p->per_in; i++) {
                filter = nn_widen_v6m(taps, p->w_zp, filter, wide);
                nn_channel_v6m(p, s, plane, wide, record, to++);
                record += NN_RECORD_V6M;
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->in_c * p->per_in;
    }
}

/* w[Co][strips][rows][width of the strip], records per output channel; scratch: a word per weight of a filter, a plane. */
NN_KERNEL void nn_depthwise_s8_v6m(const nn_planes_v6m *p, const nn_strips_v6m *s, const int8_t *x,
                                   const int8_t *w, const int32_t *records, int8_t *y,
                                   uint8_t *scratch)
{
    nn_depthwise_v6m(p, s, x, w, records, y, scratch);
}

#endif
