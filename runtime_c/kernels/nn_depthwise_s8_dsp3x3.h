/* SPDX-License-Identifier: MIT
 *
 * Depthwise 3x3 convolution, stride 1 or 2, on cores with the DSP extension and an FPU: channel by
 * channel over a plane in scratch, two outputs of a row at a time. y may be x: see nn_plane_s8.h.
 *
 * Record of an output channel, 9 words: for each window row the halfwords (w0, w1) and (w1, w2), all
 * times `1 << up`; multiplier, offset, start (codegen/requant_high.py). Where no exact multiplier exists,
 * that is 0, followed by scale (float bits) and bias.
 */
#ifndef NN_DEPTHWISE_S8_DSP3X3_H
#define NN_DEPTHWISE_S8_DSP3X3_H

#include "nn_packed_s8.h"
#include "nn_plane_s8.h"

/* One output from a plane in float. */
NN_INLINE int32_t nn_depthwise3x3_sum(const uint32_t *record, const int16_t *at, int32_t width,
                                      int32_t start)
{
    int32_t sum = start;
    for (int32_t kh = 0; kh < 3; kh++) {
        const int16_t *const row = at + kh * width;
        uint32_t first;
        __builtin_memcpy(&first, row, sizeof first);
        sum = nn_smlad(first, record[2 * kh], sum);
        sum = nn_add_wrap(sum, row[2] * (int16_t)(record[2 * kh + 1] >> 16));
    }
    return sum;
}

NN_RARE void nn_depthwise3x3_float(const uint32_t *record, const int16_t *plane, int8_t *y,
                                   int32_t up, int32_t stride, int32_t width, int32_t out_h,
                                   int32_t out_w, int32_t out_c, int32_t out_zp, int32_t lo,
                                   int32_t hi)
{
    const float scale = nn_f32_of_bits(record[7]);
    for (int32_t oh = 0; oh < out_h; oh++) {
        for (int32_t ow = 0; ow < out_w; ow++) {
            const int16_t *const at = plane + oh * stride * width + ow * stride;
            const int32_t acc =
                (nn_depthwise3x3_sum(record, at, width, 0) >> up) + (int32_t)record[8];
            const int32_t value = nn_clamp_s32(nn_rint_f32((float)acc * scale), -1024, 1024);
            *y = (int8_t)nn_clamp_s32(value + out_zp, lo, hi);
            y += out_c;
        }
    }
}

#define NN_DEPTHWISE3X3_PARAMETERS                                                             \
    const int32_t stride, const int32_t width, const int32_t out_h, const int32_t out_w,       \
        const int32_t out_c, const int32_t head, const int32_t unroll, const int32_t shift,    \
        const int32_t lo, const int32_t hi

#if NN_DSP_BLOCKS

#define NN_DEPTHWISE3X3_STORE(acc)               \
    NN_SCALE(acc, "r8", "r9")                    \
    ".if %c[out_c] <= 255\n"                     \
    "strb " acc ", [r1], #%c[out_c]\n"           \
    ".else\n"                                    \
    "strb " acc ", [r1]\n"                       \
    "add r1, r1, #%c[out_c]\n"                   \
    ".endif\n"

/* A window row into two outputs; `at` addresses it, `next` the word behind it (stride 2). */
#define NN_DEPTHWISE3X3_ROW(first, second, at, next) \
    "ldrd r10, lr, " at "\n"                         \
    "smlad r11, r10, " first ", r11\n"               \
    ".if %c[stride] == 1\n"                          \
    "smlatb r12, r10, " first ", r12\n"              \
    "smlabt r11, lr, " second ", r11\n"              \
    "smlad r12, lr, " second ", r12\n"               \
    ".else\n"                                        \
    "ldr r10, " next "\n"                            \
    "smlabt r11, lr, " second ", r11\n"              \
    "smlad r12, lr, " first ", r12\n"                \
    "smlabt r12, r10, " second ", r12\n"             \
    ".endif\n"

#define NN_DEPTHWISE3X3_PAIR                                                              \
    "vmov r11, r12, s0, s1\n"                                                             \
    NN_DEPTHWISE3X3_ROW("r6", "r7", "[r0, #4 * %c[width]]", "[r0, #4 * %c[width] + 8]")   \
    NN_DEPTHWISE3X3_ROW("r4", "r5", "[r0, #2 * %c[width]]", "[r0, #2 * %c[width] + 8]")   \
    ".if %c[stride] == 1\n"                                                               \
    NN_DEPTHWISE3X3_ROW("r2", "r3", "[r0], #4", "[r0]")                                   \
    ".else\n"                                                                             \
    NN_DEPTHWISE3X3_ROW("r2", "r3", "[r0]", "[r0, #8]!")                                  \
    ".endif\n"                                                                            \
    NN_DEPTHWISE3X3_STORE("r11")                                                          \
    NN_DEPTHWISE3X3_STORE("r12")

/* The same for two issues at a time, a product among them: each row loads what the next one needs, the
   last one of a pair that of the next pair. */
#define NN_DEPTHWISE3X3_ROW_DUAL(first, second, more, next, next2) \
    ".if %c[stride] == 1\n"                                        \
    "smlad r11, r10, " first ", r11\n"                             \
    "smlatb r12, r10, " first ", r12\n"                            \
    "ldr r10, " next "\n"                                          \
    "smlabt r11, lr, " second ", r11\n"                            \
    "smlad r12, lr, " second ", r12\n"                             \
    "ldr lr, " next2 "\n"                                          \
    ".else\n"                                                      \
    "smlabt r11, lr, " second ", r11\n"                            \
    "smlad r11, r10, " first ", r11\n"                             \
    "ldr r10, " more "\n"                                          \
    "smlad r12, lr, " first ", r12\n"                              \
    "ldr lr, " next2 "\n"                                          \
    "smlabt r12, r10, " second ", r12\n"                           \
    "ldr r10, " next "\n"                                          \
    ".endif\n"

#define NN_DEPTHWISE3X3_PAIR_DUAL                                                       \
    "vmov r11, r12, s0, s1\n"                                                           \
    NN_DEPTHWISE3X3_ROW_DUAL("r6", "r7", "[r0, #4 * %c[width] + 8]",                    \
                             "[r0, #2 * %c[width]]", "[r0, #2 * %c[width] + 4]")        \
    NN_DEPTHWISE3X3_ROW_DUAL("r4", "r5", "[r0, #2 * %c[width] + 8]", "[r0]",            \
                             "[r0, #4]")                                                \
    NN_DEPTHWISE3X3_ROW_DUAL("r2", "r3", "[r0, #8]",                                    \
                             "[r0, #4 * %c[width] + 4 * %c[stride]]",                   \
                             "[r0, #4 * %c[width] + 4 * %c[stride] + 4]")               \
    "add r0, r0, #4 * %c[stride]\n"                                                     \
    NN_DEPTHWISE3X3_STORE("r11")                                                        \
    NN_DEPTHWISE3X3_STORE("r12")

#if defined(NN_DUAL_ISSUE)
#define NN_DEPTHWISE3X3_START              \
    "ldr r10, [r0, #4 * %c[width]]\n"      \
    "ldr lr, [r0, #4 * %c[width] + 4]\n"
#define NN_DEPTHWISE3X3_NEXT NN_DEPTHWISE3X3_PAIR_DUAL
#else
#define NN_DEPTHWISE3X3_START
#define NN_DEPTHWISE3X3_NEXT NN_DEPTHWISE3X3_PAIR
#endif

#define NN_DEPTHWISE3X3_ROW1(first, second, at) \
    "ldrd r10, lr, " at "\n"                    \
    "smlad r11, r10, " first ", r11\n"          \
    "smlabt r11, lr, " second ", r11\n"

/* All outputs of a channel. Weights stay in r2..r7; s0, s1 hold the start, s2 and s3 the ends of the row
   and of the plane. */
NN_INLINE void nn_depthwise3x3_channel(const uint32_t *record, const int16_t *plane, int8_t *y,
                                       NN_DEPTHWISE3X3_PARAMETERS)
{
    register const int16_t *r_plane __asm__("r0") = plane;
    register int8_t *r_y __asm__("r1") = y;
    register const uint32_t *r_record __asm__("r2") = record;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "ldr r10, [r2, #32]\n"
        "vmov s0, s1, r10, r10\n"
        "movw r10, #(2 * %c[out_h] * %c[stride] * %c[width])\n"
        "add r10, r10, r0\n"
        "vmov s3, r10\n"
        "ldm r2, {r2-r9}\n"
        "1:\n"
        ".if %c[pairs] > %c[head]\n"
        "addw r10, r0, #(4 * %c[stride] * %c[pairs])\n"
        "vmov s2, r10\n"
        ".endif\n"
        ".if %c[pairs]\n"
        NN_DEPTHWISE3X3_START
        ".endif\n"
        ".rept %c[head]\n"
        NN_DEPTHWISE3X3_NEXT
        ".endr\n"
        ".if %c[pairs] > %c[head]\n"
        "2:\n"
        ".rept %c[unroll]\n"
        NN_DEPTHWISE3X3_NEXT
        ".endr\n"
        "vmov r11, s2\n"
        "cmp r0, r11\n"
        "bne 2b\n"
        ".endif\n"
        ".if %c[odd]\n"
        "vmov r11, s0\n"
        NN_DEPTHWISE3X3_ROW1("r6", "r7", "[r0, #4 * %c[width]]")
        NN_DEPTHWISE3X3_ROW1("r4", "r5", "[r0, #2 * %c[width]]")
        NN_DEPTHWISE3X3_ROW1("r2", "r3", "[r0]")
        NN_DEPTHWISE3X3_STORE("r11")
        ".endif\n"
        "vmov r10, s3\n"
        "addw r0, r0, #(2 * %c[stride] * (%c[width] - 2 * %c[pairs]))\n"
        "cmp r0, r10\n"
        "bne 1b\n"
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_plane), "+r"(r_y), "+r"(r_record)
        : [stride] "i"(stride), [width] "i"(width), [out_h] "i"(out_h), [pairs] "i"(out_w / 2),
          [odd] "i"(out_w & 1), [head] "i"(head), [unroll] "i"(unroll), [out_c] "i"(out_c),
          [shift] "i"(shift), [lo] "i"(lo), [hi] "i"(hi)
        : "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3");
}

#else

NN_PART void nn_depthwise3x3_channel(const uint32_t *record, const int16_t *plane, int8_t *y,
                                       NN_DEPTHWISE3X3_PARAMETERS)
{
    (void)head;
    (void)unroll;
    for (int32_t oh = 0; oh < out_h; oh++) {
        for (int32_t ow = 0; ow < out_w; ow++) {
            const int16_t *const at = plane + oh * stride * width + ow * stride;
            const int32_t sum = nn_depthwise3x3_sum(record, at, width, (int32_t)record[8]);
            const int32_t value = nn_smmla(sum, (int32_t)record[6], (int32_t)record[7]);
            *y = (int8_t)nn_clamp_s32(nn_ssat8_asr(value, shift), lo, hi);
            y += out_c;
        }
    }
}

#endif

/* What loading ahead reads behind the plane, in halfwords, and does not use. */
#if defined(NN_DUAL_ISSUE)
#define NN_DEPTHWISE3X3_BEHIND 2
#else
#define NN_DEPTHWISE3X3_BEHIND 0
#endif

/* `band` rows of outputs at a time, a divisor of out_h. Scratch: 2 * height * width bytes, where height
   is (band - 1) * stride + 3, and 4 for cores that load ahead; width is even and holds the padded row,
   and 2 halfwords more when out_w is even and the stride 2. */
NN_KERNEL void nn_depthwise_s8_dsp3x3(int32_t batch, int32_t in_h, int32_t in_w, int32_t in_c,
                                      int32_t out_h, int32_t out_w, int32_t fan_out,
                                      int32_t stride, int32_t pad_top, int32_t pad_left,
                                      int32_t band, int32_t height, int32_t width, int32_t head,
                                      int32_t unroll, int32_t up, int32_t shift, int32_t in_zp,
                                      int32_t out_zp, int32_t lo, int32_t hi, int32_t floats,
                                      const int8_t *x, const uint32_t *records, int8_t *y,
                                      uint8_t *scratch)
{
    const int32_t out_c = in_c * fan_out;
    const nn_bands bands = {in_h,  in_w, in_c,   pad_top, pad_left,    band,
                            out_h, height, width, in_zp,  3 - stride};
    int16_t *const plane = (int16_t *)(void *)scratch;

    nn_plane_clear(height, width, in_zp, plane);
    nn_plane_clear(1, NN_DEPTHWISE3X3_BEHIND, in_zp, plane + height * width);
    for (int32_t n = 0; n < batch; n++) {
        for (int32_t c = 0; c < in_c; c++) {
            int32_t row = 0;
            for (int32_t oh = 0; oh < out_h; oh += band) {
                row = nn_plane_band(&bands, oh, row, x + c, plane);
                for (int32_t f = c * fan_out; f < (c + 1) * fan_out; f++) {
                    const uint32_t *const record = records + 9 * f;
                    int8_t *const to = y + oh * out_w * out_c + f;
                    if (floats != 0 && record[6] == 0u) {
                        nn_depthwise3x3_float(record, plane, to, up, stride, width, band, out_w,
                                              out_c, out_zp, lo, hi);
                    } else {
                        nn_depthwise3x3_channel(record, plane, to, stride, width, band, out_w,
                                                out_c, head, unroll, shift, lo, hi);
                    }
                }
            }
        }
        x += in_h * in_w * in_c;
        y += out_h * out_w * out_c;
    }
}

#endif
