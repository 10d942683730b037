/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer of one row on cores with the DSP extension and an FPU: four filters at a time
 * over inputs spread in scratch, with packed weights as in nn_dot_s8_dsp.h. Long rows are taken in
 * chunks, whose sums (over 256) add up in scratch: sums of products of 256 would overflow, and
 * scratch stays small.
 *
 * Stream for one chunk, per four filters: four starts; for each group of four inputs four words of
 * weights; multiplier and offset of each filter, or, where no exact multiplier exists: 0 and a hole,
 * scales (float bits), biases. Stream for several chunks: for each chunk and four filters, the weights.
 */
#ifndef NN_DENSE_S8_DSP_H
#define NN_DENSE_S8_DSP_H

#include "nn_packed_s8.h"
#include "nn_requant.h"

#define NN_DENSE_PARAMETERS                                                                  \
    const int32_t chunked, const int32_t groups, const int32_t head, const int32_t unroll,   \
        const int32_t shift, const int32_t out_zp, const int32_t lo, const int32_t hi,       \
        const int32_t floats
#define NN_DENSE_ARGUMENTS groups, head, unroll, shift, out_zp, lo, hi, floats

#if NN_DSP_BLOCKS

#if defined(NN_DUAL_ISSUE)

/* For two issues at a time: the next group's weights are loaded here, and with `ahead` its inputs
   (nn_dot_s8_dsp_sums.h). */
#define NN_DENSE_AHEAD(instruction) instruction
#define NN_DENSE_STAY(instruction)
#define NN_DENSE_GROUP(ahead)            \
    "sxtb16 r10, r6\n"                   \
    "smlad r2, r6, r11, r2\n"            \
    "smlad r2, r10, r12, r2\n"           \
    "ldr r6, [r0], #16\n"                \
    "sxtb16 r10, r7\n"                   \
    "smlad r3, r7, r11, r3\n"            \
    "smlad r3, r10, r12, r3\n"           \
    "ldr r7, [r0, #-12]\n"               \
    "sxtb16 r10, r8\n"                   \
    "smlad r4, r8, r11, r4\n"            \
    "smlad r4, r10, r12, r4\n"           \
    "ldr r8, [r0, #-8]\n"                \
    "sxtb16 r10, r9\n"                   \
    "smlad r5, r9, r11, r5\n"            \
    "smlad r5, r10, r12, r5\n"           \
    ahead("ldr r11, [r1, #8]!\n")        \
    "ldr r9, [r0, #-4]\n"                \
    ahead("ldr r12, [r1, #4]\n")
#define NN_DENSE_START                  \
    "ldm r0!, {r6, r7, r8, r9}\n"       \
    "ldr r11, [r1]\n"                   \
    "ldr r12, [r1, #4]\n"
#define NN_DENSE_NEXT NN_DENSE_GROUP(NN_DENSE_AHEAD)
#define NN_DENSE_LAST NN_DENSE_GROUP(NN_DENSE_STAY)
#define NN_DENSE_BACK "sub r0, r0, #16\n"
#define NN_DENSE_CONSTANTS

#else

#define NN_DENSE_NEXT               \
    "ldm r0!, {r6, r7, r8, r9}\n"   \
    "ldrd r11, r12, [r1], #8\n"     \
    "smlad r2, r6, r11, r2\n"       \
    "sxtb16 r6, r6\n"               \
    "smlad r3, r7, r11, r3\n"       \
    "sxtb16 r7, r7\n"               \
    "smlad r4, r8, r11, r4\n"       \
    "sxtb16 r8, r8\n"               \
    "smlad r5, r9, r11, r5\n"       \
    "sxtb16 r9, r9\n"               \
    "smlad r2, r6, r12, r2\n"       \
    "smlad r3, r7, r12, r3\n"       \
    "smlad r4, r8, r12, r4\n"       \
    "smlad r5, r9, r12, r5\n"
#define NN_DENSE_START
#define NN_DENSE_LAST NN_DENSE_NEXT
#define NN_DENSE_BACK
#define NN_DENSE_CONSTANTS "ldm r0!, {r6, r7, r8, r9}\n"

#endif

#define NN_DENSE_SCALE(acc, multiplier, offset)   \
    NN_SCALE(acc, multiplier, offset)             \
    "strb " acc ", [r12], #1\n"

#define NN_DENSE_FLOAT(acc, scale, bias)   \
    "vmov s7, " scale "\n"                 \
    NN_FLOAT(acc, "s6", "s7", bias)        \
    "strb " acc ", [r12], #1\n"

/* Filters from `stream` for outputs y[0] up to y_end, in fours; `y` points to int32_t sums when
   chunked. Gives the end of the stream. s0..s2 hold x, y and y_end. */
NN_INLINE const uint32_t *nn_dense_s8_dsp_filters(const uint32_t *stream, const uint32_t *x,
                                                  void *y, const void *y_end, NN_DENSE_PARAMETERS)
{
    register const uint32_t *r_stream __asm__("r0") = stream;
    register const uint32_t *r_x __asm__("r1") = x;
    register void *r_y __asm__("r2") = y;
    register const void *r_end __asm__("r3") = y_end;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "vmov s0, r1\n"
        "vmov s1, s2, r2, r3\n"
        "movw lr, #(8 * (%c[groups] - %c[head]))\n"
        "add lr, lr, r1\n"
        "1:\n"
        ".if %c[chunked]\n"
        "movs r2, #0\n"
        "movs r3, #0\n"
        "movs r4, #0\n"
        "movs r5, #0\n"
        ".else\n"
        "ldm r0!, {r2, r3, r4, r5}\n"
        ".endif\n"
        NN_DENSE_START
        ".if %c[groups] > %c[head]\n"
        "2:\n"
        ".rept %c[unroll]\n"
        NN_DENSE_NEXT
        ".endr\n"
        "cmp r1, lr\n"
        "bne 2b\n"
        ".endif\n"
        ".rept %c[head] - 1\n"
        NN_DENSE_NEXT
        ".endr\n"
        NN_DENSE_LAST
        "vmov r12, s1\n"
        "vmov r1, s0\n"
        ".if %c[chunked]\n"
        NN_DENSE_BACK
        "ldm r12, {r6, r7, r8, r9}\n"
        "add r6, r6, r2, asr #8\n"
        "add r7, r7, r3, asr #8\n"
        "add r8, r8, r4, asr #8\n"
        "add r9, r9, r5, asr #8\n"
        "stm r12!, {r6, r7, r8, r9}\n"
        ".else\n"
        NN_DENSE_CONSTANTS
        ".if %c[floats]\n"
        "cmp r6, #0\n"
        "beq 4f\n"
        ".endif\n"
        NN_DENSE_SCALE("r2", "r6", "r7")
        NN_DENSE_SCALE("r3", "r8", "r9")
        "ldm r0!, {r6, r7, r8, r9}\n"
        NN_DENSE_SCALE("r4", "r6", "r7")
        NN_DENSE_SCALE("r5", "r8", "r9")
        ".endif\n"
        "3:\n"
        "vmov r2, s2\n"
        "vmov s1, r12\n"
        "cmp r12, r2\n"
        "bne 1b\n"
        ".if %c[floats]\n"
        "b 5f\n"
        "4:\n"
        "ldm r0!, {r6, r7, r10, r11}\n"
        NN_DENSE_FLOAT("r2", "r8", "r10")
        NN_DENSE_FLOAT("r3", "r9", "r11")
        "ldm r0!, {r8, r9}\n"
        NN_DENSE_FLOAT("r4", "r6", "r8")
        NN_DENSE_FLOAT("r5", "r7", "r9")
        "b 3b\n"
        "5:\n"
        ".endif\n"
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_stream), "+r"(r_x), "+r"(r_y), "+r"(r_end)
        : [chunked] "i"(chunked), [groups] "i"(groups), [head] "i"(head), [unroll] "i"(unroll),
          [shift] "i"(shift), [zp] "i"(out_zp), [lo] "i"(lo), [hi] "i"(hi), [floats] "i"(floats)
        : "r12", "cc", "memory", "s0", "s1", "s2", "s6", "s7");
    return r_stream;
}

#else

NN_INLINE const uint32_t *nn_dense_s8_dsp_filters(const uint32_t *stream, const uint32_t *x,
                                                  void *y, const void *y_end, NN_DENSE_PARAMETERS)
{
    int8_t *bytes = (int8_t *)y;
    int32_t *sums = (int32_t *)y;
    (void)head;
    (void)unroll;
    (void)floats;
    while (chunked ? (const void *)sums != y_end : (const void *)bytes != y_end) {
        const uint32_t *const weights = chunked ? stream : stream + 4;
        const uint32_t *const end = weights + 4 * groups;
        int32_t s0 = chunked ? 0 : (int32_t)stream[0], s1 = chunked ? 0 : (int32_t)stream[1];
        int32_t s2 = chunked ? 0 : (int32_t)stream[2], s3 = chunked ? 0 : (int32_t)stream[3];
        const uint32_t *at = x, *w = weights;
        while (w != end) {
            const uint32_t first = at[0], second = at[1];
            s0 = nn_smlad(nn_sxtb16(w[0]), second, nn_smlad(w[0], first, s0));
            s1 = nn_smlad(nn_sxtb16(w[1]), second, nn_smlad(w[1], first, s1));
            s2 = nn_smlad(nn_sxtb16(w[2]), second, nn_smlad(w[2], first, s2));
            s3 = nn_smlad(nn_sxtb16(w[3]), second, nn_smlad(w[3], first, s3));
            at += 2;
            w += 4;
        }
        for (int32_t f = 0; f < 4; f++) {
            const int32_t sum = f == 0 ? s0 : f == 1 ? s1 : f == 2 ? s2 : s3;
            if (chunked) {
                *sums = nn_add_wrap(*sums, sum >> 8);
                sums++;
            } else {
                *bytes++ = nn_packed_requant(sum, end, f, 4, shift, out_zp, lo, hi);
            }
        }
        stream = chunked ? end : end + (end[0] != 0u ? 8 : 10);
    }
    return stream;
}

#endif

/* Spread `count` inputs, filling up to a multiple of 4. */
NN_INLINE void nn_spread_run(const int8_t *x, int32_t count, uint32_t *to)
{
    for (int32_t g = 0; g < count / 4; g++) {
        nn_spread4(nn_load4(x), to);
        x += 4;
        to += 2;
    }
    if ((count & 3) != 0) {
        uint32_t word = 0u;
        for (int32_t i = 0; i < (count & 3); i++) {
            word |= (uint32_t)(uint8_t)x[i] << (8 * i);
        }
        nn_spread4(word, to);
    }
}

/* One chunk, at least four outputs; the last four filters may repeat some. Scratch: 2 bytes per input,
   in fours. */
NN_KERNEL void nn_dense_s8_dsp(int32_t depth, int32_t cols, int32_t head, int32_t unroll,
                               int32_t shift, int32_t out_zp, int32_t lo, int32_t hi,
                               int32_t floats, const int8_t *x, const uint32_t *stream, int8_t *y,
                               uint8_t *scratch)
{
    const int32_t groups = (depth + 3) / 4;
    uint32_t *const spread = (uint32_t *)(void *)scratch;
    const int8_t *end = y + (cols & ~3);

    nn_spread_run(x, depth, spread);
    for (int32_t part = 0; part <= ((cols & 3) != 0); part++) {
        stream = nn_dense_s8_dsp_filters(stream, spread, y, end, 0, NN_DENSE_ARGUMENTS);
        y += cols - 4;
        end = y + 4;
    }
}

#endif
