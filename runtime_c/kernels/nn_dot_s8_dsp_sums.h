/* SPDX-License-Identifier: MIT
 *
 * Sums of products of two filters with one to three columns, in assembly, for nn_dot_s8_dsp.h: sums in
 * r2..r7 (first, middle, last column of filter 0: r2, r3, r4; of filter 1: r5, r6, r7; two columns: r3, r4;
 * one: r3), the stream in r0, the columns in r1. r8..r12 and lr are used up.
 *
 * Four weights w0..w3 are packed as the halfwords w0 + 256*w1 and w2 + 256*w3. SMLAD with (x1, x3) gives
 * x1*w0 + 256*x1*w1 + ...; SXTB16 recovers (w0, w2), and SMLAD of these with (256*x0 + 127 - x1, ...)
 * adds 256*x0*w0 + 127*w0 - x1*w0 + ... Together: 256 times the dot product, and 127 * (w0 + w2), which
 * is known beforehand. So one SXTB16 serves four products, where unpacking takes two, and the factor
 * 256 is the precision that requantization by SMMLA and SSAT needs (see codegen/requant_high.py).
 */
#ifndef NN_DOT_S8_DSP_SUMS_H
#define NN_DOT_S8_DSP_SUMS_H

#include "nn_packed_s8.h"

#if NN_DSP_BLOCKS || NN_DSP_JOBS

#if defined(NN_DUAL_ISSUE)

/* For cores that issue two instructions at a time, one of them a product (Cortex-M7): single loads between
   products, each at least two cycles before its use, for which they run ahead of the products: the next
   group's weights are loaded here (behind the last group these are the multiplier and the offset of
   filter 0), and with `ahead` the next group's first operands. */
#define NN_DOT_AHEAD(instruction) instruction
#define NN_DOT_STAY(instruction)
#define NN_DOT_GROUP(plus0, plus1, minus0, minus1, ahead)       \
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
    ahead("ldr r12, [r1, #2 * %c[pitch] + %c[step]]\n")         \
    "smlad r3, r10, lr, r3\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    "smlad r6, r11, lr, r6\n"                                   \
    ahead("ldr lr, [r1, #2 * %c[pitch] + %c[step] + 4]\n")      \
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
    ahead("ldr r12, [r1, #%c[pitch]]\n")                        \
    "smlad r3, r10, lr, r3\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    "smlad r6, r11, lr, r6\n"                                   \
    ahead("ldr lr, [r1, #%c[pitch] + 4]\n")                     \
    ".endif\n"                                                  \
    ".if %c[cols] == 1\n"                                       \
    "sxtb16 r10, r8\n"                                          \
    "smlad r3, r8, r12, r3\n"                                   \
    "smlad r6, r9, r12, r6\n"                                   \
    "ldr r8, [r0], #8\n"                                        \
    "sxtb16 r11, r9\n"                                          \
    "smlad r3, r10, lr, r3\n"                                   \
    ahead("ldr r12, [r1, #%c[step]]!\n")                        \
    "smlad r6, r11, lr, r6\n"                                   \
    "ldr r9, [r0, #-4]\n"                                       \
    ahead("ldr lr, [r1, #4]\n")                                 \
    ".endif\n"

#define NN_DOT_START                                    \
    "ldm r0!, {r3, r6, r8, r9}\n"                       \
    ".if %c[cols] == 3\n"                               \
    "ldr r12, [r1, #2 * %c[pitch] + %c[step]]\n"        \
    "ldr lr, [r1, #2 * %c[pitch] + %c[step] + 4]\n"     \
    ".else\n"                                           \
    "ldr r12, [r1, #%c[pitch] * (%c[cols] - 1)]\n"      \
    "ldr lr, [r1, #%c[pitch] * (%c[cols] - 1) + 4]\n"   \
    ".endif\n"
#define NN_DOT_FIRST NN_DOT_START NN_DOT_GROUP("r3", "r6", "r3", "r6", NN_DOT_AHEAD)
#define NN_DOT_NEXT NN_DOT_GROUP("r4", "r7", "r2", "r5", NN_DOT_AHEAD)
#define NN_DOT_LAST NN_DOT_GROUP("r4", "r7", "r2", "r5", NN_DOT_STAY)
#define NN_DOT_ONLY NN_DOT_START NN_DOT_GROUP("r3", "r6", "r3", "r6", NN_DOT_STAY)
#define NN_DOT_CONSTANTS "ldrd r10, r11, [r0], #8\n"
/* Bytes of the stream that are read before their group. */
#define NN_DOT_EARLY "8"
/* From the middle column to one step before the first. */
#define NN_DOT_BASE                            \
    ".if %c[cols] == 3\n"                      \
    "subw r1, r1, #%c[pitch] + %c[step]\n"     \
    ".endif\n"

#else

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

#define NN_DOT_FIRST               \
    "ldm r0!, {r3, r6, r8, r9}\n"  \
    NN_DOT_GROUP("r3", "r6", "r3", "r6")
#define NN_DOT_NEXT                \
    "ldrd r8, r9, [r0], #8\n"      \
    NN_DOT_GROUP("r4", "r7", "r2", "r5")
#define NN_DOT_LAST NN_DOT_NEXT
#define NN_DOT_ONLY NN_DOT_FIRST
#define NN_DOT_CONSTANTS "ldm r0!, {r8, r9, r10, r11}\n"
#define NN_DOT_EARLY "0"
#define NN_DOT_BASE

#endif

/* The sums of all groups: the first, a loop over `unroll` at a time until `at` is the end in s3, then the
   rest of `head`, which with a loop is at least 2 on cores that load ahead. */
#define NN_DOT_SUMS(at)              \
    ".if %c[groups] == 1\n"          \
    NN_DOT_ONLY                      \
    ".else\n"                        \
    NN_DOT_FIRST                     \
    ".if %c[groups] > %c[head]\n"    \
    "2:\n"                           \
    ".rept %c[unroll]\n"             \
    NN_DOT_NEXT                      \
    ".endr\n"                        \
    "vmov r10, s3\n"                 \
    "cmp " at ", r10\n"              \
    "bne 2b\n"                       \
    ".endif\n"                       \
    ".if %c[head] > 1\n"             \
    ".rept %c[head] - 2\n"           \
    NN_DOT_NEXT                      \
    ".endr\n"                        \
    NN_DOT_LAST                      \
    ".endif\n"                       \
    ".endif\n"                       \
    NN_DOT_CONSTANTS

/* `first` with each sum of filter 0, `second` with each of filter 1. */
#define NN_DOT_EACH(first, second)   \
    ".if %c[cols] == 3\n"            \
    first("r2")                      \
    second("r5")                     \
    ".endif\n"                       \
    ".if %c[cols] >= 2\n"            \
    first("r4")                      \
    second("r7")                     \
    ".endif\n"                       \
    first("r3")                      \
    second("r6")

#endif

#endif
