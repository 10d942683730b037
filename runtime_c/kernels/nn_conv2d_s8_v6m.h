/* SPDX-License-Identifier: MIT
 *
 * Convolution without groups on cores without DSP extension: three output pixels at a time, whose windows
 * are packed once for all filters (nn_v6m.h). One body serves all layers.
 * y may overlap x where no pixel is written over a window that is still read.
 */
#ifndef NN_CONV2D_S8_V6M_H
#define NN_CONV2D_S8_V6M_H

#include "nn_v6m.h"

/* `parts` times `taps` weights per filter, filled up with zeros; each part's sums fit their fields. */
typedef struct {
    int32_t taps, parts;
    int32_t in_zp;
    int32_t w_zero; /* as weights are stored: 128 and more or less */
    int32_t low_shift, out_zp, lo, hi;
} nn_columns_v6m;

/* Where the window of an output pixel starts. */
typedef struct {
    int32_t h, w;
} nn_corner_v6m;

/* Where the sums of each part start, in fours. */
NN_ONE_BODY void nn_starts_v6m(const nn_columns_v6m *q, const uint32_t *packed,
                               const uint32_t *total, uint32_t *starts)
{
    const uint32_t w_zero = (uint32_t)q->w_zero;

    for (int32_t part = 0; part < q->parts; part++) {
        uint32_t first = 0u, second = 0u;
        if (q->parts == 1) {
            first = total[0];
            second = total[1];
        } else {
            for (int32_t k = 0; k < q->taps; k += 2) {
                first += packed[0] + packed[2];
                second += packed[1] + packed[3];
                packed += 4;
            }
        }
        first = 0x100000u - first * w_zero;    /* 2^20 (1 + 2^21) mod 2^32 */
        second = 0x40100000u - second * w_zero; /* 2^20 (1 + 2^10) */
        starts[0] = first + (first << 8);
        starts[1] = second + (second << 8);
        starts[2] = first;
        starts[3] = second;
        starts += 4;
    }
}

/* All filters of three columns; `count` of them exist, the others repeat the last. */
NN_ONE_BODY void nn_filters_v6m(const nn_columns_v6m *q, int32_t out_c, const uint32_t *packed,
                                const uint32_t *starts, const uint8_t *w, const int32_t *record,
                                int32_t count, int8_t *y)
{
    const nn_end_v6m end = {q->low_shift, q->out_zp, q->lo, q->hi};
    const int32_t taps = q->taps, low_shift = q->low_shift;
    const int32_t step1 = count > 1 ? out_c : 0;
    const int32_t step2 = count > 2 ? 2 * out_c : step1;

    for (int32_t c = 0; c < out_c; c += 2) {
        uint32_t words[4], sums[6];
        nn_dot3x2_v6m(packed, w, taps, starts, words);
        w += 2 * taps;
        nn_unpack3_v6m(words[0], words[1], sums);
        nn_unpack3_v6m(words[2], words[3], sums + 3);
        for (int32_t part = 1; part < q->parts; part++) {
            uint32_t more[6];
            nn_dot3x2_v6m(packed + 2 * part * taps, w, taps, starts + 4 * part, words);
            w += 2 * taps;
            nn_unpack3_v6m(words[0], words[1], more);
            nn_unpack3_v6m(words[2], words[3], more + 3);
            for (int32_t i = 0; i < 6; i++) {
                sums[i] += more[i];
            }
        }
        nn_requant3_v6m(sums, record, low_shift, &end, 1, y, y + step1, y + step2);
        record += NN_RECORD_V6M;
        if (c + 1 < out_c) {
            y++;
            nn_requant3_v6m(sums + 3, record, low_shift, &end, 1, y, y + step1, y + step2);
            record += NN_RECORD_V6M;
            y++;
        }
    }
}

/* The windows of three pixels, packed. `pad` holds a window's row of the zero point. */
NN_ONE_BODY void nn_windows_v6m(const nn_window *p, const nn_corner_v6m *corners, const int8_t *x,
                                const int8_t *pad, uint32_t *to, uint32_t *total)
{
    const int32_t row_bytes = p->in_w * p->in_c;
    const int32_t span = (p->kernel_w - 1) * p->dilation_w;
    int32_t whole = p->dilation_w == 1;
    int32_t steps, run;

    for (int32_t i = 0; i < 3; i++) {
        whole &= corners[i].w >= 0 && corners[i].w + span < p->in_w;
    }
    if (whole != 0 && corners[0].h >= 0 && corners[2].h + (p->kernel_h - 1) * p->dilation_h < p->in_h) {
        /* No padding: three pointers run down the rows. */
        const int8_t *from0 = x + corners[0].h * row_bytes + corners[0].w * p->in_c;
        const int8_t *from1 = x + corners[1].h * row_bytes + corners[1].w * p->in_c;
        const int8_t *from2 = x + corners[2].h * row_bytes + corners[2].w * p->in_c;
        for (int32_t kh = p->kernel_h;;) {
            to = nn_pack3_v6m(from0, from1, from2, p->kernel_w * p->in_c, to, total);
            if (--kh == 0) {
                return;
            }
            from0 += p->dilation_h * row_bytes;
            from1 += p->dilation_h * row_bytes;
            from2 += p->dilation_h * row_bytes;
        }
    }
    steps = whole ? 1 : p->kernel_w;
    run = whole ? p->kernel_w * p->in_c : p->in_c;
    for (int32_t kh = 0; kh < p->kernel_h; kh++) {
        for (int32_t kw = 0; kw < steps; kw++) {
            const int8_t *from[3];
            for (int32_t i = 0; i < 3; i++) {
                const int32_t ih = corners[i].h + kh * p->dilation_h;
                const int32_t iw = corners[i].w + kw * p->dilation_w;
                const int32_t inside =
                    (uint32_t)ih < (uint32_t)p->in_h && (uint32_t)iw < (uint32_t)p->in_w;
                from[i] = inside ? x + ih * row_bytes + iw * p->in_c : pad;
            }
            to = nn_pack3_v6m(from[0], from[1], from[2], run, to, total);
        }
    }
}

NN_ONE_BODY void nn_convolve_v6m(const nn_window *p, const nn_columns_v6m *q, const int8_t *x,
                                 const uint8_t *w, const int32_t *records, int8_t *y,
                                 uint8_t *scratch)
{
    const int32_t used = p->kernel_h * p->kernel_w * p->in_c;
    const int32_t pixels = p->out_h * p->out_w;
    uint32_t *const packed = (uint32_t *)(void *)scratch;
    uint32_t *const starts = packed + 2 * q->taps * q->parts;
    int8_t *const pad = (int8_t *)(starts + 4 * q->parts);

    for (int32_t i = 2 * used; i < 2 * q->taps * q->parts; i++) {
        packed[i] = 0u;
    }
    for (int32_t i = 0; i < p->kernel_w * p->in_c; i++) {
        pad[i] = (int8_t)q->in_zp;
    }
    for (int32_t n = 0; n < p->batch; n++) {
        nn_corner_v6m next = {-p->pad_top, -p->pad_left};
        int32_t left = p->out_w;
        for (int32_t first = 0; first < pixels; first += 3) {
            const int32_t count = pixels - first < 3 ? pixels - first : 3;
            uint32_t total[2] = {0u, 0u};
            nn_corner_v6m corners[3];
            for (int32_t i = 0; i < 3; i++) {
                corners[i] = next;
                if (first + i + 1 >= pixels) {
                    continue; /* the last pixel again */
                }
                next.w += p->stride_w;
                if (--left == 0) {
                    left = p->out_w;
                    next.h += p->stride_h;
                    next.w = -p->pad_left;
                }
            }
            nn_windows_v6m(p, corners, x, pad, packed, total);
            nn_starts_v6m(q, packed, total, starts);
            nn_filters_v6m(q, p->out_c, packed, starts, w, records, count, y);
            y += count * p->out_c;
        }
        x += p->in_h * p->in_w * p->in_c;
    }
}

/* Scratch: 8 bytes per tap of all parts, 16 per part, then a row of a window. */
NN_KERNEL void nn_conv2d_s8_v6m(const nn_window *p, const nn_columns_v6m *q, const int8_t *x,
                                const uint8_t *w, const int32_t *records, int8_t *y, uint8_t *scratch)
{
    nn_convolve_v6m(p, q, x, w, records, y, scratch);
}

#endif
