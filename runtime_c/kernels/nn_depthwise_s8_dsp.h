/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolution, any window up to 8 wide, stride 1 or 2, on cores with the DSP extension:
 * channel by channel over a plane in scratch, four outputs of a row at a time. y may be x: see
 * nn_plane_s8.h.
 *
 * The weights of a channel stand in scratch as halfwords, two to a word, times `1 << up`: for each row
 * (w0, w1), (w2, w3)... and, for stride 1, between them the same moved by one: (0, w0), (w1, w2)...
 * Parameters of an output channel: multiplier, offset, start (codegen/requant_high.py) and the weights'
 * zero point. Where no exact multiplier exists, that is 0, followed by scale (float bits) and bias.
 */
#ifndef NN_DEPTHWISE_S8_DSP_H
#define NN_DEPTHWISE_S8_DSP_H

#include "nn_plane_s8.h"


NN_INLINE void nn_depthwise_weights(int32_t kernel_h, int32_t kernel_w, int32_t stride, int32_t zp,
                                    int32_t up, const int8_t *w, uint32_t *to)
{
    const int32_t words = stride == 1 ? kernel_w / 2 + 1 : (kernel_w + 1) / 2;
    for (int32_t r = 0; r < kernel_h; r++) {
        uint32_t before = 0u;
#pragma GCC unroll 8
        for (int32_t i = 0; i < words; i++) {
            const int32_t k = 2 * i;
            const int32_t first = k < kernel_w ? w[k < kernel_w ? k : 0] - zp : 0;
            const int32_t second = k + 1 < kernel_w ? w[k + 1 < kernel_w ? k + 1 : 0] - zp : 0;
            const uint32_t low = ((uint32_t)first << up) & 0xFFFFu;
            const uint32_t high = (uint32_t)second << (up + 16);
            *to++ = low | high;
            if (stride == 1) {
                *to++ = before | (low << 16);
                before = high >> 16;
            }
        }
        w += kernel_w;
    }
}

#if NN_DSP_BLOCKS

#define NN_FOUR1(first, second)                     \
    "ldrd %[even], %[odd], [%[w]], #8\n"            \
    "ldr " second ", [%[x]], #4\n"                  \
    "smlad %[s0], " first ", %[even], %[s0]\n"      \
    "smlad %[s1], " first ", %[odd], %[s1]\n"       \
    "smlad %[s2], " second ", %[even], %[s2]\n"     \
    "smlad %[s3], " second ", %[odd], %[s3]\n"
#define NN_FOUR2(a, b, c, d)                        \
    "ldr %[even], [%[w]], #4\n"                     \
    "ldr " d ", [%[x]], #4\n"                       \
    "smlad %[s0], " a ", %[even], %[s0]\n"          \
    "smlad %[s1], " b ", %[even], %[s1]\n"          \
    "smlad %[s2], " c ", %[even], %[s2]\n"          \
    "smlad %[s3], " d ", %[even], %[s3]\n"

/* Four outputs of a row whose first window starts at `at`. */
NN_INLINE void nn_depthwise_four(int32_t kernel_h, const int32_t kernel_w, const int32_t stride,
                                 const int32_t width, const int16_t *at, const uint32_t *w,
                                 int32_t *sum)
{
    const int32_t words = stride == 1 ? kernel_w / 2 + 1 : (kernel_w + 1) / 2;
    int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    int32_t rows = kernel_h;
    if (stride == 1) {
        uint32_t a, b, even, odd;
        __asm__ volatile(
            "1:\n"
            "ldr %[a], [%[x]], #4\n"
            NN_FOUR1("%[a]", "%[b]")
            ".if %c[words] > 1\n"
            NN_FOUR1("%[b]", "%[a]")
            ".endif\n"
            ".if %c[words] > 2\n"
            NN_FOUR1("%[a]", "%[b]")
            ".endif\n"
            ".if %c[words] > 3\n"
            NN_FOUR1("%[b]", "%[a]")
            ".endif\n"
            ".if %c[words] > 4\n"
            NN_FOUR1("%[a]", "%[b]")
            ".endif\n"
            "subs %[rows], %[rows], #1\n"
            "add %[x], %[x], #%c[skip]\n"
            "bne 1b\n"
            : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(at),
              [w] "+r"(w), [rows] "+r"(rows), [a] "=&r"(a), [b] "=&r"(b), [even] "=&r"(even),
              [odd] "=&r"(odd)
            : [words] "i"(words), [skip] "i"(2 * width - 4 * (words + 1))
            : "cc", "memory");
    } else {
        uint32_t a, b, c, d, even;
        __asm__ volatile(
            "1:\n"
            "ldrd %[a], %[b], [%[x]], #8\n"
            "ldr %[c], [%[x]], #4\n"
            NN_FOUR2("%[a]", "%[b]", "%[c]", "%[d]")
            ".if %c[words] > 1\n"
            NN_FOUR2("%[b]", "%[c]", "%[d]", "%[a]")
            ".endif\n"
            ".if %c[words] > 2\n"
            NN_FOUR2("%[c]", "%[d]", "%[a]", "%[b]")
            ".endif\n"
            ".if %c[words] > 3\n"
            NN_FOUR2("%[d]", "%[a]", "%[b]", "%[c]")
            ".endif\n"
            "subs %[rows], %[rows], #1\n"
            "add %[x], %[x], #%c[skip]\n"
            "bne 1b\n"
            : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(at),
              [w] "+r"(w), [rows] "+r"(rows), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c),
              [d] "=&r"(d), [even] "=&r"(even)
            : [words] "i"(words), [skip] "i"(2 * width - 4 * (words + 3))
            : "cc", "memory");
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

#else

/* Four outputs of a row whose first window starts at `at`. */
NN_INLINE void nn_depthwise_four(int32_t kernel_h, int32_t kernel_w, int32_t stride, int32_t width,
                                 const int16_t *at, const uint32_t *w, int32_t *sum)
{
    const int32_t words = stride == 1 ? kernel_w / 2 + 1 : (kernel_w + 1) / 2;
    int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    for (int32_t r = 0; r < kernel_h; r++) {
        const uint32_t *const x = (const uint32_t *)(const void *)at;
        if (stride == 1) {
            uint32_t first = x[0];
#pragma GCC unroll 8
            for (int32_t i = 0; i < words; i++) {
                const uint32_t second = x[i + 1], even = w[2 * i], odd = w[2 * i + 1];
                s0 = nn_smlad(first, even, s0);
                s1 = nn_smlad(first, odd, s1);
                s2 = nn_smlad(second, even, s2);
                s3 = nn_smlad(second, odd, s3);
                first = second;
            }
            w += 2 * words;
        } else {
            uint32_t a = x[0], b = x[1], c = x[2];
#pragma GCC unroll 8
            for (int32_t i = 0; i < words; i++) {
                const uint32_t d = x[i + 3], even = w[i];
                s0 = nn_smlad(a, even, s0);
                s1 = nn_smlad(b, even, s1);
                s2 = nn_smlad(c, even, s2);
                s3 = nn_smlad(d, even, s3);
                a = b;
                b = c;
                c = d;
            }
            w += words;
        }
        at += width;
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

#endif

/* An output of a channel that has no exact multiplier, in float. */
NN_RARE int32_t nn_depthwise_float(int32_t acc, const int32_t *parameters, int32_t out_zp)
{
    const float scale = nn_f32_of_bits((uint32_t)parameters[1]);
    const int32_t sum = acc + parameters[2];
    return nn_clamp_s32(nn_rint_f32((float)sum * scale), -1024, 1024) + out_zp;
}

/* `rows` rows of outputs of a channel, whose plane and weights are there. */
NN_INLINE void nn_depthwise_rows(int32_t rows, int32_t out_w, int32_t out_c, int32_t kernel_h,
                                 int32_t kernel_w, int32_t stride, int32_t width, int32_t up,
                                 int32_t shift, int32_t out_zp, int32_t lo, int32_t hi,
                                 int32_t floats, const int16_t *plane, const uint32_t *weights,
                                 const int32_t *q, int8_t *to)
{
    const int32_t multiplier = q[0], offset = q[1];
    const int32_t exact = floats == 0 || multiplier != 0;
    const int32_t start = exact ? q[2] : 0;
    for (int32_t oh = 0; oh < rows; oh++) {
        const int16_t *at = plane + oh * stride * width;
        for (int32_t ow = 0; ow < out_w; ow += 4) {
            int32_t sum[4] = {start, start, start, start};
            nn_depthwise_four(kernel_h, kernel_w, stride, width, at, weights, sum);
            if (exact) {
#pragma GCC unroll 4
                for (int32_t i = 0; i < 4; i++) {
                    sum[i] = nn_ssat8_asr(nn_smmla(sum[i], multiplier, offset), shift);
                }
            } else {
                for (int32_t i = 0; i < 4; i++) {
                    sum[i] = nn_clamp_s32(nn_depthwise_float(sum[i] >> up, q, out_zp), -128, 127);
                }
            }
#pragma GCC unroll 4
            for (int32_t i = 0; i < 4; i++) {
                if (out_w % 4 == 0 || ow + i < out_w) {
                    if (lo > -128 || hi < 127) {
                        sum[i] = nn_clamp_s32(sum[i], lo, hi);
                    }
                    *to = (int8_t)sum[i];
                    to += out_c;
                }
            }
            at += 4 * stride;
        }
    }
}

/* `band` rows of outputs at a time, a divisor of out_h. Scratch: 2 * height * width bytes for the plane,
   where height is (band - 1) * stride + kernel_h, and 4 per word of a channel's weights; width is even and
   holds the windows of out_w outputs rounded up to fours, and one halfword more. */
NN_KERNEL void nn_depthwise_s8_dsp(int32_t batch, int32_t in_h, int32_t in_w, int32_t in_c,
                                   int32_t out_h, int32_t out_w, int32_t fan_out, int32_t kernel_h,
                                   int32_t kernel_w, int32_t stride, int32_t pad_top,
                                   int32_t pad_left, int32_t band, int32_t height, int32_t width,
                                   int32_t up, int32_t shift, int32_t in_zp, int32_t out_zp,
                                   int32_t lo, int32_t hi, int32_t floats, const int8_t *x,
                                   const int8_t *w, const int32_t *parameters, int8_t *y,
                                   uint8_t *scratch)
{
    const int32_t out_c = in_c * fan_out;
    const nn_bands bands = {in_h,  in_w,   in_c,  pad_top, pad_left,         band,
                            out_h, height, width, in_zp,   kernel_h - stride};
    int16_t *const plane = (int16_t *)(void *)scratch;
    uint32_t *const weights = (uint32_t *)(void *)(plane + height * width);

    nn_plane_clear(height, width, in_zp, plane);
    for (int32_t n = 0; n < batch; n++) {
        for (int32_t c = 0; c < in_c; c++) {
            int32_t row = 0;
            for (int32_t first = 0; first < out_h; first += band) {
                row = nn_plane_band(&bands, first, row, x + c, plane);
                for (int32_t f = c * fan_out; f < (c + 1) * fan_out; f++) {
                    if (first == 0 || fan_out > 1) {
                        nn_depthwise_weights(kernel_h, kernel_w, stride, parameters[4 * f + 3], up,
                                             w + f * kernel_h * kernel_w, weights);
                    }
                    nn_depthwise_rows(band, out_w, out_c, kernel_h, kernel_w, stride, width, up,
                                      shift, out_zp, lo, hi, floats, plane, weights,
                                      parameters + 4 * f, y + first * out_w * out_c + f);
                }
            }
        }
        x += in_h * in_w * in_c;
        y += out_h * out_w * out_c;
    }
}

#endif
