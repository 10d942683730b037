/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution on cores without DSP extension: what its kernels share. They work channel by channel
 * on a plane of x + 128 in scratch, so that y may be x, and take four outputs of a row at a time.
 */
#ifndef NN_PLANES_V6M_H
#define NN_PLANES_V6M_H

#include "nn_v6m.h"

/* Planes of height x width bytes, just large enough for all windows, or a bit larger. */
typedef struct {
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, per_in;
    int32_t stride_h, stride_w, pad_top, pad_left;
    int32_t height, width, in_zp, w_zp;
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

/* All of a plane; padding stays, whichever channel is inside. */
NN_INLINE void nn_clear_v6m(const nn_planes_v6m *p, uint8_t *plane)
{
    for (int32_t i = 0; i < p->height * p->width; i++) {
        plane[i] = (uint8_t)(p->in_zp + 128);
    }
}

/* One channel of an image, as far as windows reach, into the inside of its plane. */
NN_INLINE void nn_fill_v6m(const nn_planes_v6m *p, const int8_t *x, uint8_t *plane)
{
    const int32_t most_rows = p->height - p->pad_top, most_cols = p->width - p->pad_left;
    const int32_t rows = p->in_h < most_rows ? p->in_h : most_rows;
    const int32_t cols = p->in_w < most_cols ? p->in_w : most_cols;

    nn_gather_v6m(rows, cols, p->in_c, p->in_w * p->in_c, p->width, x,
                  plane + p->pad_top * p->width + p->pad_left);
}

/* A filter's weights as words. */
NN_INLINE const int8_t *nn_widen_v6m(int32_t taps, int32_t w_zp, const int8_t *w, int32_t *wide)
{
    for (int32_t k = 0; k < taps; k++) {
        wide[k] = w[k] - w_zp;
    }
    return w + taps;
}

#endif
