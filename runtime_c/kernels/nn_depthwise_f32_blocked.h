/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution in float32 for cores with an FPU, no dilation: channel by channel over a plane of the
 * inputs with their padding in scratch, four outputs of a row at a time. Sums in the order of the plain kernel.
 * y may be x where each has one image and y as many channels, and no more pixels.
 */
#ifndef NN_DEPTHWISE_F32_BLOCKED_H
#define NN_DEPTHWISE_F32_BLOCKED_H

#include "nn_common.h"

/* NN_FUSED: the core is faster when it multiplies and adds at once. */
#if defined(NN_FUSED)
#define NN_MAC_F32(sum, x, w) (sum) = __builtin_fmaf((x), (w), (sum))
#else
#define NN_MAC_F32(sum, x, w) (sum) += (x) * (w)
#endif

/* A row of three weights under each of four windows. */
#define NN_ROW3_F32(at, stride, w0, w1, w2)       \
    do {                                          \
        NN_MAC_F32(s0, (at)[0], w0);              \
        NN_MAC_F32(s1, (at)[(stride)], w0);       \
        NN_MAC_F32(s2, (at)[2 * (stride)], w0);   \
        NN_MAC_F32(s3, (at)[3 * (stride)], w0);   \
        NN_MAC_F32(s0, (at)[1], w1);              \
        NN_MAC_F32(s1, (at)[(stride) + 1], w1);   \
        NN_MAC_F32(s2, (at)[2 * (stride) + 1], w1); \
        NN_MAC_F32(s3, (at)[3 * (stride) + 1], w1); \
        NN_MAC_F32(s0, (at)[2], w2);              \
        NN_MAC_F32(s1, (at)[(stride) + 2], w2);   \
        NN_MAC_F32(s2, (at)[2 * (stride) + 2], w2); \
        NN_MAC_F32(s3, (at)[3 * (stride) + 2], w2); \
    } while (0)

/* What becomes of sums: `clamp` is 0 for nothing, 1 for at least 0, 2 for lo..hi. */
typedef struct {
    int32_t clamp;
    float lo, hi;
} nn_finish_f32;

NN_INLINE void nn_store_f32(const nn_finish_f32 *f, float sum, float *y)
{
    if (f->clamp == 1) {
        const uint32_t bits = nn_bits_of_f32(sum);
        *y = nn_f32_of_bits(bits & ~(uint32_t)((int32_t)bits >> 31));
    } else {
        *y = f->clamp == 0 ? sum : nn_clamp_f32(sum, f->lo, f->hi);
    }
}

/* A row of outputs, `step` floats apart. */
NN_INLINE void nn_row3x3_f32(const nn_finish_f32 *f, const float *at, int32_t width,
                             const int32_t stride, const float *w, float bias, int32_t left,
                             int32_t step, float *y)
{
    const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5];
    const float w6 = w[6], w7 = w[7], w8 = w[8];

    for (; left >= 4; left -= 4) {
        const float *const below = at + width;
        const float *const lowest = below + width;
        float s0 = bias, s1 = bias, s2 = bias, s3 = bias;
        NN_ROW3_F32(at, stride, w0, w1, w2);
        NN_ROW3_F32(below, stride, w3, w4, w5);
        NN_ROW3_F32(lowest, stride, w6, w7, w8);
        nn_store_f32(f, s0, y);
        nn_store_f32(f, s1, y + step);
        nn_store_f32(f, s2, y + 2 * step);
        nn_store_f32(f, s3, y + 3 * step);
        at += 4 * stride;
        y += 4 * step;
    }
    for (; left > 0; left--) {
        const float *const below = at + width;
        const float *const lowest = below + width;
        float sum = bias;
        NN_MAC_F32(sum, at[0], w0);
        NN_MAC_F32(sum, at[1], w1);
        NN_MAC_F32(sum, at[2], w2);
        NN_MAC_F32(sum, below[0], w3);
        NN_MAC_F32(sum, below[1], w4);
        NN_MAC_F32(sum, below[2], w5);
        NN_MAC_F32(sum, lowest[0], w6);
        NN_MAC_F32(sum, lowest[1], w7);
        NN_MAC_F32(sum, lowest[2], w8);
        nn_store_f32(f, sum, y);
        at += stride;
        y += step;
    }
}

NN_INLINE void nn_row_any_f32(const nn_finish_f32 *f, const nn_window *p, const float *at,
                              int32_t width, const float *w, float bias, float *y)
{
    const int32_t stride = p->stride_w, step = p->out_c;
    int32_t left = p->out_w;

    for (; left >= 4; left -= 4) {
        const float *row = at, *tap = w;
        float s0 = bias, s1 = bias, s2 = bias, s3 = bias;
        for (int32_t kh = 0; kh < p->kernel_h; kh++) {
            for (int32_t kw = 0; kw < p->kernel_w; kw++) {
                const float value = *tap++;
                NN_MAC_F32(s0, row[kw], value);
                NN_MAC_F32(s1, row[kw + stride], value);
                NN_MAC_F32(s2, row[kw + 2 * stride], value);
                NN_MAC_F32(s3, row[kw + 3 * stride], value);
            }
            row += width;
        }
        nn_store_f32(f, s0, y);
        nn_store_f32(f, s1, y + step);
        nn_store_f32(f, s2, y + 2 * step);
        nn_store_f32(f, s3, y + 3 * step);
        at += 4 * stride;
        y += 4 * step;
    }
    for (; left > 0; left--) {
        const float *row = at, *tap = w;
        float sum = bias;
        for (int32_t kh = 0; kh < p->kernel_h; kh++) {
            for (int32_t kw = 0; kw < p->kernel_w; kw++) {
                NN_MAC_F32(sum, row[kw], *tap++);
            }
            row += width;
        }
        nn_store_f32(f, sum, y);
        at += stride;
        y += step;
    }
}

/* rows x cols inputs, `step` floats apart, into a plane. */
NN_INLINE void nn_gather_f32(int32_t rows, int32_t cols, int32_t step, int32_t row_step,
                             int32_t width, const float *x, float *plane)
{
    for (int32_t r = 0; r < rows; r++) {
        const float *from = x + r * row_step;
        float *to = plane + r * width;
        int32_t left = cols;
        for (; left >= 4; left -= 4) {
            const float a = from[0], b = from[step], c = from[2 * step], d = from[3 * step];
            to[0] = a;
            to[1] = b;
            to[2] = c;
            to[3] = d;
            from += 4 * step;
            to += 4;
        }
        for (; left > 0; left--) {
            *to++ = *from;
            from += step;
        }
    }
}

/* Planes of height x width floats; w[Co][Kh][Kw], then bias[Co]. */
NN_KERNEL void nn_depthwise_f32_blocked(const nn_window *p, int32_t height, int32_t width,
                                        int32_t clamp, float lo, float hi, const float *x,
                                        const float *restrict w, float *y, uint8_t *scratch)
{
    float *const plane = (float *)(void *)scratch;
    const int32_t most_rows = height - p->pad_top, most_cols = width - p->pad_left;
    const int32_t rows = p->in_h < most_rows ? p->in_h : most_rows;
    const int32_t cols = p->in_w < most_cols ? p->in_w : most_cols;
    const int32_t taps = p->kernel_h * p->kernel_w;
    const int32_t fan_out = p->out_c / p->in_c;
    const int32_t is3x3 = p->kernel_h == 3 && p->kernel_w == 3;
    const nn_finish_f32 f = {clamp, lo, hi};

    for (int32_t i = 0; i < height * width; i++) {
        plane[i] = 0.0f;
    }
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t c = 0; c < p->in_c; c++) {
            nn_gather_f32(rows, cols, p->in_c, p->in_w * p->in_c, width, x + c,
                          plane + p->pad_top * width + p->pad_left);
            for (int32_t oc = c * fan_out; oc < (c + 1) * fan_out; oc++) {
                const float *const filter = w + oc * taps;
                const float bias = w[p->out_c * taps + oc];
                for (int32_t oh = 0; oh < p->out_h; oh++) {
                    const float *const at = plane + oh * p->stride_h * width;
                    float *const to = y + oh * p->out_w * p->out_c + oc;
                    if (is3x3 && p->stride_w == 1) {
                        nn_row3x3_f32(&f, at, width, 1, filter, bias, p->out_w, p->out_c, to);
                    } else if (is3x3 && p->stride_w == 2) {
                        nn_row3x3_f32(&f, at, width, 2, filter, bias, p->out_w, p->out_c, to);
                    } else {
                        nn_row_any_f32(&f, p, at, width, filter, bias, to);
                    }
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->out_c;
    }
}

#endif
