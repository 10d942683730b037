/* SPDX-License-Identifier: MIT
 *
 * Dot products of many filters with one to three columns of inputs, requantized and stored: the core
 * of every int8 convolution on cores with the DSP extension and an FPU (Cortex-M4, M7, M33).
 *
 * Four weights w0..w3 are packed as the halfwords w0 + 256*w1 and w2 + 256*w3. SMLAD with (x1, x3) gives
 * x1*w0 + 256*x1*w1 + ...; SXTB16 recovers (w0, w2), and SMLAD of these with (256*x0 + 127 - x1, ...)
 * adds 256*x0*w0 + 127*w0 - x1*w0 + ... Together: 256 times the dot product, and 127 * (w0 + w2), which
 * is known beforehand. So one SXTB16 serves four products, where unpacking takes two, and the factor
 * 256 is the precision that requantization by SMMLA and SSAT needs (see codegen/requant_high.py).
 *
 * The stream holds, for each pair of filters: the two starts of their sums; for each group of four
 * inputs the two filters' words; then multiplier 0, offset 0, multiplier 1, offset 1. Where no exact
 * multiplier exists: 0, scale 0, scale 1 (float bits), bias 0, bias 1, and the sum is requantized in
 * float. Filter f of column c goes to y[c * out_c + f].
 */
#ifndef NN_DOT_S8_DSP_H
#define NN_DOT_S8_DSP_H

#include "nn_dsp.h"

/* Everything of a block that is known when code is generated. `groups` counts groups of four inputs,
   of which `head` come before a loop over `unroll` at a time. Columns are `pitch` bytes apart, groups
   `step` bytes. `floats` tells whether the stream has pairs that need them. */
#define NN_DOT_PARAMETERS                                                                     \
    const int32_t cols, const int32_t groups, const int32_t head, const int32_t unroll,       \
        const int32_t pitch, const int32_t step, const int32_t out_c, const int32_t shift,    \
        const int32_t out_zp, const int32_t lo, const int32_t hi, const int32_t floats
#define NN_DOT_ARGUMENTS groups, head, unroll, pitch, step, out_c, shift, out_zp, lo, hi, floats

#if NN_DSP_BLOCKS || NN_DSP_JOBS

/* One group into all columns; the first sums into new registers from the starts in r3 and r6. */
#define NN_DOT_GROUP(plus0, plus1, minus0, minus1)      \
    "sxtb16 r10, r8\n"                                  \
    "sxtb16 r11, r9\n"                                  \
    ".if %c[cols] >= 2\n"                               \
    "ldrd r12, lr, [r1, #%c[pitch]]\n"                  \
    "smlad r4, r8, r12, " plus0 "\n"                    \
    "smlad r7, r9, r12, " plus1 "\n"                    \
    "smlad r4, r10, lr, r4\n"                           \
    "smlad r7, r11, lr, r7\n"                           \
    ".endif\n"                                          \
    ".if %c[cols] == 3\n"                               \
    "ldrd r12, lr, [r1, #-%c[pitch]]\n"                 \
    "smlad r2, r8, r12, " minus0 "\n"                   \
    "smlad r5, r9, r12, " minus1 "\n"                   \
    "smlad r2, r10, lr, r2\n"                           \
    "smlad r5, r11, lr, r5\n"                           \
    ".endif\n"                                          \
    "ldrd r12, lr, [r1], #%c[step]\n"                   \
    "smlad r3, r8, r12, r3\n"                           \
    "smlad r6, r9, r12, r6\n"                           \
    "smlad r3, r10, lr, r3\n"                           \
    "smlad r6, r11, lr, r6\n"

/* The same for cores that issue two instructions at a time, one of them a product (Cortex-M7): single
   loads between products, each at least two cycles before its use, for which they run ahead of the
   products: the next group's weights and first column are loaded here. Behind the last group these
   are the multiplier and the offset of filter 0, and 8 bytes behind the inputs. */
#define NN_DOT_GROUP_DUAL(plus0, plus1, minus0, minus1)         \
    ".if %c[cols] == 3\n"                                       \
    "sxtb16 r10, r8\n"                                          \
    "smlad r4, r8, r12, " plus0 "\n"                            \
    "smlad r7, r9, r12, " plus1 "\n"                            \
    "ldr r12, [r1, #%c[step]]!\n"                               \
    "sxtb16 r11, r9\n"                                          \
    "smlad r4, r10, lr, r4\n"                                   \
    "smlad r7, r11, lr, r7\n"                                   \
    "ldr lr, [r1, #4]\n"                                        \
    "smlad r2, r8, r12, " minus0 "\n"                           \
    "smlad r5, r9, r12, " minus1 "\n"                           \
    "ldr r12, [r1, #%c[pitch]]\n"                               \
    "smlad r2, r10, lr, r2\n"                                   \
    "smlad r5, r11, lr, r5\n"                                   \
    "ldr lr, [r1, #%c[pitch] + 4]\n"                            \
    "smlad r3, r8, r12, r3\n"                                   \
    "ldr r8, [r0], #8\n"                                        \
    "smlad r6, r9, r12, r6\n"                                   \
    "ldr r12, [r1, #2 * %c[pitch] + %c[step]]\n"                \
    "smlad r3, r10, lr, r3\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    "smlad r6, r11, lr, r6\n"                                   \
    "ldr lr, [r1, #2 * %c[pitch] + %c[step] + 4]\n"             \
    ".endif\n"                                                  \
    ".if %c[cols] == 2\n"                                       \
    "sxtb16 r10, r8\n"                                          \
    "smlad r4, r8, r12, " plus0 "\n"                            \
    "smlad r7, r9, r12, " plus1 "\n"                            \
    "ldr r12, [r1], #%c[step]\n"                                \
    "sxtb16 r11, r9\n"                                          \
    "smlad r4, r10, lr, r4\n"                                   \
    "smlad r7, r11, lr, r7\n"                                   \
    "ldr lr, [r1, #4 - %c[step]]\n"                             \
    "smlad r3, r8, r12, r3\n"                                   \
    "ldr r8, [r0], #8\n"                                        \
    "smlad r6, r9, r12, r6\n"                                   \
    "ldr r12, [r1, #%c[pitch]]\n"                               \
    "smlad r3, r10, lr, r3\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    "smlad r6, r11, lr, r6\n"                                   \
    "ldr lr, [r1, #%c[pitch] + 4]\n"                            \
    ".endif\n"                                                  \
    ".if %c[cols] == 1\n"                                       \
    "sxtb16 r10, r8\n"                                          \
    "smlad r3, r8, r12, r3\n"                                   \
    "smlad r6, r9, r12, r6\n"                                   \
    "ldr r8, [r0], #8\n"                                        \
    "sxtb16 r11, r9\n"                                          \
    "smlad r3, r10, lr, r3\n"                                   \
    "ldr r12, [r1, #%c[step]]!\n"                               \
    "smlad r6, r11, lr, r6\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    "ldr lr, [r1, #4]\n"                                        \
    ".endif\n"

#if defined(NN_DUAL_ISSUE)
#define NN_DOT_FIRST                                \
    "ldm r0!, {r3, r6, r8, r9}\n"                   \
    ".if %c[cols] == 3\n"                           \
    "ldr r12, [r1, #2 * %c[pitch] + %c[step]]\n"    \
    "ldr lr, [r1, #2 * %c[pitch] + %c[step] + 4]\n" \
    ".else\n"                                       \
    "ldr r12, [r1, #%c[pitch] * (%c[cols] - 1)]\n"  \
    "ldr lr, [r1, #%c[pitch] * (%c[cols] - 1) + 4]\n" \
    ".endif\n"                                      \
    NN_DOT_GROUP_DUAL("r3", "r6", "r3", "r6")
#define NN_DOT_NEXT NN_DOT_GROUP_DUAL("r4", "r7", "r2", "r5")
#define NN_DOT_CONSTANTS "ldrd r10, r11, [r0], #8\n"
#define NN_DOT_AHEAD "8"
/* From the middle column to one step before the first. */
#define NN_DOT_BASE                            \
    ".if %c[cols] == 3\n"                      \
    "subw r1, r1, #%c[pitch] + %c[step]\n"     \
    ".endif\n"
#else
#define NN_DOT_BASE
#define NN_DOT_AHEAD "0"
#define NN_DOT_FIRST               \
    "ldm r0!, {r3, r6, r8, r9}\n"  \
    NN_DOT_GROUP("r3", "r6", "r3", "r6")
#define NN_DOT_NEXT                \
    "ldrd r8, r9, [r0], #8\n"      \
    NN_DOT_GROUP("r4", "r7", "r2", "r5")
#define NN_DOT_CONSTANTS "ldm r0!, {r8, r9, r10, r11}\n"
#endif

#define NN_DOT_CLAMP(acc)         \
    ".if %c[lo] > -128\n"         \
    "cmp " acc ", #%c[lo]\n"      \
    "it lt\n"                     \
    "movlt " acc ", #%c[lo]\n"    \
    ".endif\n"                    \
    ".if %c[hi] < 127\n"          \
    "cmp " acc ", #%c[hi]\n"      \
    "it gt\n"                     \
    "movgt " acc ", #%c[hi]\n"    \
    ".endif\n"

#define NN_DOT_SCALE(acc, multiplier, offset)                 \
    "smmla " acc ", " acc ", " multiplier ", " offset "\n"    \
    "ssat " acc ", #8, " acc ", asr #%c[shift]\n"             \
    NN_DOT_CLAMP(acc)

#define NN_DOT_FLOAT(acc, scale, bias)           \
    "add " acc ", " bias ", " acc ", asr #8\n"   \
    "vmov s6, " acc "\n"                         \
    "vcvt.f32.s32 s6, s6\n"                      \
    "vmul.f32 s6, s6, " scale "\n"               \
    "vcvtr.s32.f32 s6, s6\n"                     \
    "vmov " acc ", s6\n"                         \
    "add " acc ", " acc ", #%c[zp]\n"            \
    "ssat " acc ", #8, " acc "\n"                \
    NN_DOT_CLAMP(acc)
#define NN_DOT_ROW_FLOAT(acc, scale, bias)           \
    "add " acc ", " bias ", " acc ", asr #8\n"   \
    "vmov s7, " acc "\n"                         \
    "vcvt.f32.s32 s7, s7\n"                      \
    "vmul.f32 s7, s7, " scale "\n"               \
    "vcvtr.s32.f32 s7, s7\n"                     \
    "vmov " acc ", s7\n"                         \
    "add " acc ", " acc ", #%c[zp]\n"            \
    "ssat " acc ", #8, " acc "\n"                \
    NN_DOT_CLAMP(acc)

#endif

#if NN_DSP_BLOCKS

/* Filters from `stream` for outputs y[0] up to y_end (filters in pairs); the end of the stream. With
   three columns x is the middle one, else the first. All core registers but sp are in use, so they
   are saved here; s0..s3 hold x, y, y_end and the end of x. */
NN_INLINE const uint32_t *nn_dot_s8_dsp(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                        const int8_t *y_end, NN_DOT_PARAMETERS)
{
    register const uint32_t *r_stream __asm__("r0") = stream;
    register const uint32_t *r_x __asm__("r1") = x;
    register int8_t *r_y __asm__("r2") = y;
    register const int8_t *r_end __asm__("r3") = y_end;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        NN_DOT_BASE
        "vmov s0, r1\n"
        "vmov s1, s2, r2, r3\n"
        ".if %c[groups] > %c[head]\n"
        "movw r12, #(%c[groups] * %c[step])\n"
        "add r12, r12, r1\n"
        "vmov s3, r12\n"
        ".endif\n"
        "1:\n"
        NN_DOT_FIRST
        ".rept %c[head] - 1\n"
        NN_DOT_NEXT
        ".endr\n"
        ".if %c[groups] > %c[head]\n"
        "2:\n"
        ".rept %c[unroll]\n"
        NN_DOT_NEXT
        ".endr\n"
        "vmov r10, s3\n"
        "cmp r1, r10\n"
        "bne 2b\n"
        ".endif\n"
        NN_DOT_CONSTANTS
        "vmov r12, lr, s1, s2\n"
        "vmov r1, s0\n"
        ".if %c[floats]\n"
        "cmp r8, #0\n"
        "beq 4f\n"
        ".endif\n"
        ".if %c[cols] == 3\n"
        NN_DOT_SCALE("r2", "r8", "r9")
        NN_DOT_SCALE("r5", "r10", "r11")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_SCALE("r4", "r8", "r9")
        NN_DOT_SCALE("r7", "r10", "r11")
        ".endif\n"
        NN_DOT_SCALE("r3", "r8", "r9")
        NN_DOT_SCALE("r6", "r10", "r11")
        "3:\n"
        ".if %c[cols] == 3\n"
        "strb r4, [r12, #2 * %c[out_c]]\n"
        "strb r7, [r12, #2 * %c[out_c] + 1]\n"
        "strb r3, [r12, #%c[out_c]]\n"
        "strb r6, [r12, #%c[out_c] + 1]\n"
        "strb r5, [r12, #1]\n"
        "strb r2, [r12], #2\n"
        ".else\n"
        ".if %c[cols] == 2\n"
        "strb r4, [r12, #%c[out_c]]\n"
        "strb r7, [r12, #%c[out_c] + 1]\n"
        ".endif\n"
        "strb r6, [r12, #1]\n"
        "strb r3, [r12], #2\n"
        ".endif\n"
        "cmp r12, lr\n"
        "vmov s1, r12\n"
        "bne 1b\n"
        ".if %c[floats]\n"
        "b 5f\n"
        "4:\n"
        "ldr r8, [r0], #4\n"
        "vmov s4, s5, r9, r10\n"
        ".if %c[cols] == 3\n"
        NN_DOT_FLOAT("r2", "s4", "r11")
        NN_DOT_FLOAT("r5", "s5", "r8")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_FLOAT("r4", "s4", "r11")
        NN_DOT_FLOAT("r7", "s5", "r8")
        ".endif\n"
        NN_DOT_FLOAT("r3", "s4", "r11")
        NN_DOT_FLOAT("r6", "s5", "r8")
        "b 3b\n"
        "5:\n"
        ".endif\n"
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_stream), "+r"(r_x), "+r"(r_y), "+r"(r_end)
        : [cols] "i"(cols), [groups] "i"(groups), [head] "i"(head), [unroll] "i"(unroll),
          [pitch] "i"(pitch), [step] "i"(step), [out_c] "i"(out_c), [shift] "i"(shift),
          [zp] "i"(out_zp), [lo] "i"(lo), [hi] "i"(hi), [floats] "i"(floats)
        : "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6");
    return r_stream;
}

/* One record (a pair of filters) for `y_end - y` over cols * out_c blocks of neighbouring columns, each
   column being one run. With three columns x is the second one, else the first. s0..s4 hold x, y, y_end,
   the end of the weights, and the record. */
NN_INLINE void nn_dot_row_s8_dsp(const uint32_t *record, const uint32_t *x, int8_t *y,
                                 const int8_t *y_end, NN_DOT_PARAMETERS)
{
    register const uint32_t *r_record __asm__("r0") = record;
    register const uint32_t *r_x __asm__("r1") = x;
    register int8_t *r_y __asm__("r2") = y;
    register const int8_t *r_end __asm__("r3") = y_end;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        NN_DOT_BASE
        "vmov s0, r1\n"
        "vmov s1, s2, r2, r3\n"
        "vmov s4, r0\n"
        ".if %c[groups] > %c[head]\n"
        "movw r12, #(8 * %c[groups] + 8 + " NN_DOT_AHEAD ")\n"
        "add r12, r12, r0\n"
        "vmov s3, r12\n"
        ".endif\n"
        "1:\n"
        NN_DOT_FIRST
        ".rept %c[head] - 1\n"
        NN_DOT_NEXT
        ".endr\n"
        ".if %c[groups] > %c[head]\n"
        "2:\n"
        ".rept %c[unroll]\n"
        NN_DOT_NEXT
        ".endr\n"
        "vmov r10, s3\n"
        "cmp r0, r10\n"
        "bne 2b\n"
        ".endif\n"
        NN_DOT_CONSTANTS
        "vmov r12, lr, s1, s2\n"
        "vmov r1, s0\n"
        ".if %c[floats]\n"
        "cmp r8, #0\n"
        "beq 4f\n"
        ".endif\n"
        ".if %c[cols] == 3\n"
        NN_DOT_SCALE("r2", "r8", "r9")
        NN_DOT_SCALE("r5", "r10", "r11")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_SCALE("r4", "r8", "r9")
        NN_DOT_SCALE("r7", "r10", "r11")
        ".endif\n"
        NN_DOT_SCALE("r3", "r8", "r9")
        NN_DOT_SCALE("r6", "r10", "r11")
        "3:\n"
        "addw r1, r1, #%c[cols] * %c[pitch]\n"
        ".if %c[cols] == 3\n"
        "strb r2, [r12]\n"
        "strb r5, [r12, #1]\n"
        "strb r3, [r12, #%c[out_c]]\n"
        "strb r6, [r12, #%c[out_c] + 1]\n"
        "strb r4, [r12, #2 * %c[out_c]]\n"
        "strb r7, [r12, #2 * %c[out_c] + 1]\n"
        ".else\n"
        "strb r3, [r12]\n"
        "strb r6, [r12, #1]\n"
        ".if %c[cols] == 2\n"
        "strb r4, [r12, #%c[out_c]]\n"
        "strb r7, [r12, #%c[out_c] + 1]\n"
        ".endif\n"
        ".endif\n"
        "addw r12, r12, #%c[cols] * %c[out_c]\n"
        "vmov r0, s4\n"
        "cmp r12, lr\n"
        "vmov s0, s1, r1, r12\n"
        "bne 1b\n"
        ".if %c[floats]\n"
        "b 5f\n"
        "4:\n"
        "ldr r8, [r0], #4\n"
        "vmov s5, s6, r9, r10\n"
        ".if %c[cols] == 3\n"
        NN_DOT_ROW_FLOAT("r2", "s5", "r11")
        NN_DOT_ROW_FLOAT("r5", "s6", "r8")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_ROW_FLOAT("r4", "s5", "r11")
        NN_DOT_ROW_FLOAT("r7", "s6", "r8")
        ".endif\n"
        NN_DOT_ROW_FLOAT("r3", "s5", "r11")
        NN_DOT_ROW_FLOAT("r6", "s6", "r8")
        "b 3b\n"
        "5:\n"
        ".endif\n"
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_record), "+r"(r_x), "+r"(r_y), "+r"(r_end)
        : [cols] "i"(cols), [groups] "i"(groups), [head] "i"(head), [unroll] "i"(unroll),
          [pitch] "i"(pitch), [step] "i"(step), [out_c] "i"(out_c), [shift] "i"(shift),
          [zp] "i"(out_zp), [lo] "i"(lo), [hi] "i"(hi), [floats] "i"(floats)
        : "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7");
}

#else

NN_INLINE int8_t nn_dot_requant(int32_t sum, const uint32_t *end, int32_t filter, int32_t shift,
                                int32_t out_zp, int32_t lo, int32_t hi)
{
    int32_t value;
    if (end[0] != 0u) {
        value = nn_ssat8_asr(
            nn_smmla(sum, (int32_t)end[2 * filter], (int32_t)end[2 * filter + 1]), shift);
    } else {
        const float scale = nn_f32_of_bits(end[1 + filter]);
        const int32_t acc = (sum >> 8) + (int32_t)end[3 + filter];
        value = nn_clamp_s32(nn_rint_f32((float)acc * scale), -1024, 1024) + out_zp;
    }
    return (int8_t)nn_clamp_s32(value, lo, hi);
}

NN_INLINE const uint32_t *nn_dot_s8_dsp(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                        const int8_t *y_end, NN_DOT_PARAMETERS)
{
    const int32_t first = cols == 3 ? -1 : 0;
    (void)head;
    (void)unroll;
    (void)floats;
    for (; y != y_end; y += 2) {
        const uint32_t *const end = stream + 2 + 2 * groups;
        for (int32_t c = 0; c < cols; c++) {
            for (int32_t f = 0; f < 2; f++) {
                int32_t sum = (int32_t)stream[f];
                const uint32_t *column = x + (first + c) * (pitch / 4);
                for (int32_t g = 0; g < groups; g++) {
                    const uint32_t w = stream[2 + 2 * g + f];
                    sum = nn_smlad(w, column[0], sum);
                    sum = nn_smlad(nn_sxtb16(w), column[1], sum);
                    column += step / 4;
                }
                y[c * out_c + f] = nn_dot_requant(sum, end, f, shift, out_zp, lo, hi);
            }
        }
        stream = end + (end[0] != 0u ? 4 : 5);
    }
    return stream;
}

#endif

#if NN_DSP_JOBS

/* What the shared function needs that differs between layers; the order is the assembly's. */
typedef struct {
    const uint32_t *stream;
    const uint32_t *x;
    int8_t *y;
    const int8_t *y_end;
    const uint32_t *x_end;
    int32_t out_c, shift, even;
    int32_t out_zp, lo, hi;
    int32_t pitch;
} nn_dot_job;

#define NN_DOT_SHARED_CLAMP(acc) \
    "cmp " acc ", r10\n"         \
    "it lt\n"                    \
    "movlt " acc ", r10\n"       \
    "cmp " acc ", r11\n"         \
    "it gt\n"                    \
    "movgt " acc ", r11\n"

#define NN_DOT_SHARED_FLOAT(acc, scale, bias)    \
    "add " acc ", " bias ", " acc ", asr #8\n"   \
    "vmov s11, " acc "\n"                        \
    "vcvt.f32.s32 s11, s11\n"                    \
    "vmul.f32 s11, s11, " scale "\n"             \
    "vcvtr.s32.f32 s11, s11\n"                   \
    "vmov " acc ", s11\n"                        \
    "add " acc ", " acc ", r10\n"

/* As nn_dot_s8_dsp below for columns that alternate in memory, one function for all layers: smaller code
   for one or two instructions more per output. s0..s7 hold x, y, y_end, x_end, out_c, shift, even, job. */
NN_INLINE const uint32_t *nn_dot_job_run(nn_dot_job *job, const int32_t cols, const int32_t clamped)
{
    register nn_dot_job *r_job __asm__("r0") = job;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "add r1, r0, #4\n"
        "vmov s7, r0\n"
        "vldm r1, {s0-s6}\n"
        "ldrd r0, r1, [r0]\n"
        NN_DOT_BASE
        "vmov s0, r1\n"
        "1:\n"
        NN_DOT_FIRST
        "vmov r10, s6\n"
        "cmp r10, #0\n"
        "beq 2f\n"
        NN_DOT_NEXT
        "2:\n"
        "vmov r10, s3\n"
        "cmp r1, r10\n"
        "beq 3f\n"
        NN_DOT_NEXT
        NN_DOT_NEXT
        "b 2b\n"
        "3:\n"
        NN_DOT_CONSTANTS
        "vmov r12, lr, s1, s2\n"
        "vmov r1, s0\n"
        "cmp r8, #0\n"
        "beq 4f\n"
        ".if %c[cols] == 3\n"
        "smmla r2, r2, r8, r9\n"
        "smmla r5, r5, r10, r11\n"
        ".endif\n"
        ".if %c[cols] >= 2\n"
        "smmla r4, r4, r8, r9\n"
        "smmla r7, r7, r10, r11\n"
        ".endif\n"
        "smmla r3, r3, r8, r9\n"
        "smmla r6, r6, r10, r11\n"
        "vmov r8, r9, s4, s5\n"
        ".if %c[cols] == 3\n"
        "asr r2, r2, r9\n"
        "asr r5, r5, r9\n"
        ".endif\n"
        ".if %c[cols] >= 2\n"
        "asr r4, r4, r9\n"
        "asr r7, r7, r9\n"
        ".endif\n"
        "asr r3, r3, r9\n"
        "asr r6, r6, r9\n"
        "5:\n"
        ".if %c[clamped]\n"
        "vmov r10, s7\n"
        "ldrd r10, r11, [r10, #36]\n"
        ".if %c[cols] == 3\n"
        NN_DOT_SHARED_CLAMP("r2")
        NN_DOT_SHARED_CLAMP("r5")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_SHARED_CLAMP("r4")
        NN_DOT_SHARED_CLAMP("r7")
        ".endif\n"
        NN_DOT_SHARED_CLAMP("r3")
        NN_DOT_SHARED_CLAMP("r6")
        ".else\n"
        ".if %c[cols] == 3\n"
        "ssat r2, #8, r2\n"
        "ssat r5, #8, r5\n"
        ".endif\n"
        ".if %c[cols] >= 2\n"
        "ssat r4, #8, r4\n"
        "ssat r7, #8, r7\n"
        ".endif\n"
        "ssat r3, #8, r3\n"
        "ssat r6, #8, r6\n"
        ".endif\n"
        ".if %c[cols] >= 2\n"
        "add r9, r12, r8\n"
        ".if %c[cols] == 3\n"
        "strb r3, [r9]\n"
        "strb r6, [r9, #1]\n"
        "add r9, r9, r8\n"
        ".endif\n"
        "strb r4, [r9]\n"
        "strb r7, [r9, #1]\n"
        ".endif\n"
        ".if %c[cols] == 3\n"
        "strb r5, [r12, #1]\n"
        "strb r2, [r12], #2\n"
        ".else\n"
        "strb r6, [r12, #1]\n"
        "strb r3, [r12], #2\n"
        ".endif\n"
        "cmp r12, lr\n"
        "vmov s1, r12\n"
        "bne 1b\n"
        "b 6f\n"
        "4:\n"
        "ldr r8, [r0], #4\n"
        "vmov s9, s10, r9, r10\n"
        "vmov r10, s7\n"
        "ldr r10, [r10, #32]\n"
        ".if %c[cols] == 3\n"
        NN_DOT_SHARED_FLOAT("r2", "s9", "r11")
        NN_DOT_SHARED_FLOAT("r5", "s10", "r8")
        ".endif\n"
        ".if %c[cols] >= 2\n"
        NN_DOT_SHARED_FLOAT("r4", "s9", "r11")
        NN_DOT_SHARED_FLOAT("r7", "s10", "r8")
        ".endif\n"
        NN_DOT_SHARED_FLOAT("r3", "s9", "r11")
        NN_DOT_SHARED_FLOAT("r6", "s10", "r8")
        "vmov r8, s4\n"
        "b 5b\n"
        "6:\n"
        "pop {r4-r11, lr}\n"
        : "+r"(r_job)
        : [cols] "i"(cols), [pitch] "i"(8), [step] "i"(8 * cols), [clamped] "i"(clamped)
        : "r1", "r2", "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
          "s9", "s10", "s11");
    return (const uint32_t *)(const void *)r_job; /* r0: the end of the stream */
}

/* Two columns any number of bytes apart, which are one where that is 0. s8 holds this pitch. */
NN_INLINE const uint32_t *nn_dot_pair_run(nn_dot_job *job, const int32_t clamped)
{
    register nn_dot_job *r_job __asm__("r0") = job;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "add r1, r0, #4\n"
        "vmov s7, r0\n"
        "vldm r1, {s0-s5}\n"
        "vldr s8, [r0, #44]\n"
        "ldr r0, [r0]\n"
        "1:\n"
        "vmov r1, s0\n"
        "vmov r12, s8\n"
        "vmov lr, s3\n"
        "add r12, r12, r1\n"
        "ldrd r2, r4, [r0], #8\n"
        "mov r3, r2\n"
        "mov r5, r4\n"
        "2:\n"
        "ldrd r6, r7, [r0], #8\n"
        "ldrd r10, r11, [r1], #8\n"
        "sxtb16 r8, r6\n"
        "smlad r2, r6, r10, r2\n"
        "sxtb16 r9, r7\n"
        "smlad r4, r7, r10, r4\n"
        "smlad r2, r8, r11, r2\n"
        "smlad r4, r9, r11, r4\n"
        "ldrd r10, r11, [r12], #8\n"
        "cmp r1, lr\n"
        "smlad r3, r6, r10, r3\n"
        "smlad r5, r7, r10, r5\n"
        "smlad r3, r8, r11, r3\n"
        "smlad r5, r9, r11, r5\n"
        "bne 2b\n"
        "ldm r0!, {r6, r7, r8, r9}\n"
        "vmov r12, lr, s1, s2\n"
        "cmp r6, #0\n"
        "beq 4f\n"
        "smmla r2, r2, r6, r7\n"
        "smmla r3, r3, r6, r7\n"
        "smmla r4, r4, r8, r9\n"
        "smmla r5, r5, r8, r9\n"
        "vmov r6, r7, s4, s5\n"
        "asr r2, r2, r7\n"
        "asr r3, r3, r7\n"
        "asr r4, r4, r7\n"
        "asr r5, r5, r7\n"
        "5:\n"
        ".if %c[clamped]\n"
        "vmov r10, s7\n"
        "ldrd r10, r11, [r10, #36]\n"
        NN_DOT_SHARED_CLAMP("r2")
        NN_DOT_SHARED_CLAMP("r3")
        NN_DOT_SHARED_CLAMP("r4")
        NN_DOT_SHARED_CLAMP("r5")
        ".else\n"
        "ssat r2, #8, r2\n"
        "ssat r3, #8, r3\n"
        "ssat r4, #8, r4\n"
        "ssat r5, #8, r5\n"
        ".endif\n"
        "add r7, r12, r6\n"
        "strb r3, [r7]\n"
        "strb r5, [r7, #1]\n"
        "strb r4, [r12, #1]\n"
        "strb r2, [r12], #2\n"
        "cmp r12, lr\n"
        "vmov s1, r12\n"
        "bne 1b\n"
        "b 6f\n"
        "4:\n"
        "ldr r6, [r0], #4\n"
        "vmov s9, s10, r7, r8\n"
        "vmov r10, s7\n"
        "ldr r10, [r10, #32]\n"
        NN_DOT_SHARED_FLOAT("r2", "s9", "r9")
        NN_DOT_SHARED_FLOAT("r3", "s9", "r9")
        NN_DOT_SHARED_FLOAT("r4", "s10", "r6")
        NN_DOT_SHARED_FLOAT("r5", "s10", "r6")
        "vmov r6, s4\n"
        "b 5b\n"
        "6:\n"
        "pop {r4-r11, lr}\n"
        : "+r"(r_job)
        : [clamped] "i"(clamped)
        : "r1", "r2", "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s7", "s8",
          "s9", "s10", "s11");
    return (const uint32_t *)(const void *)r_job;
}

#define NN_DOT_JOB(name, cols, clamped)                          \
    NN_RARE const uint32_t *name(nn_dot_job *job)                \
    {                                                            \
        return nn_dot_job_run(job, cols, clamped);               \
    }
NN_DOT_JOB(nn_dot_job3, 3, 0)
NN_DOT_JOB(nn_dot_job2, 2, 0)
NN_DOT_JOB(nn_dot_job1, 1, 0)
NN_DOT_JOB(nn_dot_job3_clamped, 3, 1)
NN_DOT_JOB(nn_dot_job2_clamped, 2, 1)
NN_DOT_JOB(nn_dot_job1_clamped, 1, 1)

NN_RARE const uint32_t *nn_dot_pair(nn_dot_job *job)
{
    return nn_dot_pair_run(job, 0);
}

NN_RARE const uint32_t *nn_dot_pair_clamped(nn_dot_job *job)
{
    return nn_dot_pair_run(job, 1);
}

/* `alternate`: columns alternate group by group; else each is one run, `pitch` bytes from the next. */
NN_INLINE const uint32_t *nn_dot_shared(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                        const int8_t *y_end, int32_t cols, int32_t alternate,
                                        int32_t groups, int32_t pitch, int32_t out_c, int32_t shift,
                                        int32_t out_zp, int32_t lo, int32_t hi)
{
    const int32_t clamped = lo > -128 || hi < 127;
    nn_dot_job job;
    job.stream = stream;
    job.x = x;
    job.y = y;
    job.y_end = y_end;
    job.out_c = cols == 1 ? 0 : out_c;
    job.shift = shift;
    job.even = (groups & 1) == 0;
    job.out_zp = out_zp;
    job.lo = lo;
    job.hi = hi;
    if (alternate) {
#if defined(NN_DUAL_ISSUE)
        const int32_t from = cols == 3 ? -2 - 2 * cols : 0;
#else
        const int32_t from = 0;
#endif
        job.x_end = x + from + 2 * cols * groups;
        if (clamped) {
            return cols == 3   ? nn_dot_job3_clamped(&job)
                   : cols == 2 ? nn_dot_job2_clamped(&job)
                               : nn_dot_job1_clamped(&job);
        }
        return cols == 3 ? nn_dot_job3(&job) : cols == 2 ? nn_dot_job2(&job) : nn_dot_job1(&job);
    }
    job.x_end = x + 2 * groups;
    job.pitch = cols == 1 ? 0 : pitch;
    return clamped ? nn_dot_pair_clamped(&job) : nn_dot_pair(&job);
}

#endif

/* All filters: the pairs, then for an odd number of them the last two, one of them once more. */
NN_INLINE void nn_dot_columns_s8_dsp(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                     NN_DOT_PARAMETERS)
{
    const int8_t *end = y + (out_c & ~1);
    for (int32_t part = 0; part <= (out_c & 1); part++) {
#if NN_DSP_JOBS && NN_DSP_BLOCKS
        if (pitch == 8 && step == 8 * cols) {
            stream = nn_dot_shared(stream, x, y, end, cols, 1, groups, pitch, out_c, shift, out_zp,
                                   lo, hi);
        } else {
            stream = nn_dot_s8_dsp(stream, x, y, end, cols, NN_DOT_ARGUMENTS);
        }
#elif NN_DSP_JOBS
        (void)head;
        (void)unroll;
        (void)floats;
        stream = nn_dot_shared(stream, x, y, end, cols, step != 8, groups, pitch, out_c, shift,
                               out_zp, lo, hi);
#else
        stream = nn_dot_s8_dsp(stream, x, y, end, cols, NN_DOT_ARGUMENTS);
#endif
        y += out_c - 2;
        end = y + 2;
    }
}

#endif
