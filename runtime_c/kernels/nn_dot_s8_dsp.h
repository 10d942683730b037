/* SPDX-License-Identifier: MIT
 *
 * Dot products of many filters with one to three columns of inputs, requantized and stored: the core
 * of every int8 convolution on cores with the DSP extension and an FPU (Cortex-M4, M7, M33).
 *
 * The stream holds, for each pair of filters: the two starts of their sums; for each group of four
 * inputs the two filters' words (nn_dot_s8_dsp_sums.h); then multiplier 0, offset 0, multiplier 1,
 * offset 1. Where no exact multiplier exists: 0, scale 0, scale 1 (float bits), bias 0, bias 1, and the
 * sum is requantized in float. Filter f of column c goes to y[c * out_c + f].
 *
 * With a residual, y holds what is to be added: each output is rounded to its own int8, and then
 * y = clamp((offset + factor * output + y_factor * y) >> shift, lo, hi), an integer form that was proven
 * equal to the addition for all 65536 pairs when the code was generated.
 */
#ifndef NN_DOT_S8_DSP_H
#define NN_DOT_S8_DSP_H

#include "nn_dot_s8_dsp_sums.h"

typedef struct {
    int32_t factor, y_factor, offset, shift, lo, hi;
} nn_residual;

/* Everything of a block that is known when code is generated. `groups` counts groups of four inputs,
   of which `head` are not in a loop over `unroll` at a time. Columns are `pitch` bytes apart, groups
   `step` bytes. `floats` tells whether the stream has pairs that need them; `add` may be NULL. */
#define NN_DOT_PARAMETERS                                                                     \
    const int32_t cols, const int32_t groups, const int32_t head, const int32_t unroll,       \
        const int32_t pitch, const int32_t step, const int32_t out_c, const int32_t shift,    \
        const int32_t out_zp, const int32_t lo, const int32_t hi, const int32_t floats,       \
        const nn_residual *const add
#define NN_DOT_ARGUMENTS groups, head, unroll, pitch, step, out_c, shift, out_zp, lo, hi, floats, add

#if NN_DSP_BLOCKS

#define NN_DOT_OPERANDS                                                                        \
    [cols] "i"(cols), [groups] "i"(groups), [head] "i"(head), [unroll] "i"(unroll),            \
        [pitch] "i"(pitch), [step] "i"(step), [out_c] "i"(out_c), [shift] "i"(shift),          \
        [zp] "i"(out_zp), [lo] "i"(lo), [hi] "i"(hi), [floats] "i"(floats),                    \
        [add] "i"(add != NULL), [factor] "i"(add != NULL ? add->factor : 0),                   \
        [y_factor] "i"(add != NULL ? add->y_factor : 0),                                       \
        [offset] "i"(add != NULL ? add->offset : 0),                                           \
        [add_shift] "i"(add != NULL ? add->shift : 1), [add_lo] "i"(add != NULL ? add->lo : 0), \
        [add_hi] "i"(add != NULL ? add->hi : 0)

#define NN_DOT_SCALE0(acc) NN_SCALE(acc, "r8", "r9")
#define NN_DOT_SCALE1(acc) NN_SCALE(acc, "r10", "r11")

#define NN_DOT_FLOAT0(acc) NN_FLOAT(acc, "s7", "s5", "r11")
#define NN_DOT_FLOAT1(acc) NN_FLOAT(acc, "s7", "s6", "r8")

#define NN_DOT_WORD(register, value)                  \
    "movw " register ", #(" value " & 0xffff)\n"      \
    "movt " register ", #((" value " >> 16) & 0xffff)\n"

/* Onto both outputs of a column, which lie at r12 and `place`. */
#define NN_DOT_ADD(acc0, acc1, place)                      \
    "ldrsb r11, [r12, #" place "]\n"                       \
    "ldrsb r1, [r12, #" place " + 1]\n"                    \
    "mla r11, r11, r9, r10\n"                              \
    "mla r1, r1, r9, r10\n"                                \
    "mla " acc0 ", " acc0 ", r8, r11\n"                    \
    "mla " acc1 ", " acc1 ", r8, r1\n"                     \
    "ssat " acc0 ", #8, " acc0 ", asr #%c[add_shift]\n"    \
    "ssat " acc1 ", #8, " acc1 ", asr #%c[add_shift]\n"    \
    NN_LIMIT(acc0, "add_lo", "add_hi")                 \
    NN_LIMIT(acc1, "add_lo", "add_hi")

#define NN_DOT_ADDED                                  \
    ".if %c[add]\n"                                   \
    NN_DOT_WORD("r8", "%c[factor]")                   \
    NN_DOT_WORD("r9", "%c[y_factor]")                 \
    NN_DOT_WORD("r10", "%c[offset]")                  \
    ".if %c[cols] == 3\n"                             \
    NN_DOT_ADD("r2", "r5", "0")                       \
    NN_DOT_ADD("r3", "r6", "%c[out_c]")               \
    NN_DOT_ADD("r4", "r7", "2 * %c[out_c]")           \
    ".else\n"                                         \
    NN_DOT_ADD("r3", "r6", "0")                       \
    ".if %c[cols] == 2\n"                             \
    NN_DOT_ADD("r4", "r7", "%c[out_c]")               \
    ".endif\n"                                        \
    ".endif\n"                                        \
    ".endif\n"

/* From sums and constants to outputs (label 3), y in r12, its end in lr, r1 and r8..r11 used up. Pairs
   that need float, at label 4, come after NN_DOT_FLOATS. */
#define NN_DOT_OUTPUTS                        \
    "vmov r12, lr, s1, s2\n"                  \
    ".if %c[floats]\n"                        \
    "cmp r8, #0\n"                            \
    "beq 4f\n"                                \
    ".endif\n"                                \
    NN_DOT_EACH(NN_DOT_SCALE0, NN_DOT_SCALE1) \
    "3:\n"                                    \
    NN_DOT_ADDED

#define NN_DOT_FLOATS                         \
    ".if %c[floats]\n"                        \
    "b 5f\n"                                  \
    "4:\n"                                    \
    "ldr r8, [r0], #4\n"                      \
    "vmov s5, s6, r9, r10\n"                  \
    NN_DOT_EACH(NN_DOT_FLOAT0, NN_DOT_FLOAT1) \
    "b 3b\n"                                  \
    "5:\n"                                    \
    ".endif\n"

/* Filters from `stream` for outputs y[0] up to y_end (filters in pairs); the end of the stream. With
   three columns x is the middle one, else the first. All core registers but sp are in use, so they
   are saved here; s0..s3 hold x, y, y_end and the end of x in the loop. */
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
        "movw r12, #((%c[groups] - %c[head] + 1) * %c[step])\n"
        "add r12, r12, r1\n"
        "vmov s3, r12\n"
        ".endif\n"
        "1:\n"
        NN_DOT_SUMS("r1")
        NN_DOT_OUTPUTS
        "vmov r1, s0\n"
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
        NN_DOT_FLOATS
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_stream), "+r"(r_x), "+r"(r_y), "+r"(r_end)
        : NN_DOT_OPERANDS
        : "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s5", "s6", "s7");
    return r_stream;
}

/* One record (a pair of filters) for `y_end - y` over cols * out_c blocks of neighbouring columns, each
   column being one run. With three columns x is the second one, else the first. s0..s4 hold x, y, y_end,
   the end of the weights in the loop, and the record. */
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
        "movw r12, #(8 * (%c[groups] - %c[head] + 1) + 8 + " NN_DOT_EARLY ")\n"
        "add r12, r12, r0\n"
        "vmov s3, r12\n"
        ".endif\n"
        "1:\n"
        NN_DOT_SUMS("r0")
        NN_DOT_OUTPUTS
        "vmov r1, s0\n"
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
        NN_DOT_FLOATS
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_record), "+r"(r_x), "+r"(r_y), "+r"(r_end)
        : NN_DOT_OPERANDS
        : "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7");
}

#else

NN_INLINE int8_t nn_dot_added(int32_t value, int32_t y, const nn_residual *add)
{
    const int32_t sum = nn_add_wrap(add->offset, add->y_factor * y);
    return (int8_t)nn_clamp_s32(nn_ssat8_asr(nn_add_wrap(sum, add->factor * value), add->shift),
                                add->lo, add->hi);
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
                int8_t *const at = y + c * out_c + f;
                int32_t sum = (int32_t)stream[f];
                const uint32_t *column = x + (first + c) * (pitch / 4);
                for (int32_t g = 0; g < groups; g++) {
                    const uint32_t w = stream[2 + 2 * g + f];
                    sum = nn_smlad(w, column[0], sum);
                    sum = nn_smlad(nn_sxtb16(w), column[1], sum);
                    column += step / 4;
                }
                const int8_t value = nn_packed_requant(sum, end, f, 2, shift, out_zp, lo, hi);
                *at = add != NULL ? nn_dot_added(value, *at, add) : value;
            }
        }
        stream = end + (end[0] != 0u ? 4 : 5);
    }
    return stream;
}

#endif

#if NN_DSP_JOBS
#include "nn_dot_s8_dsp_jobs.h"
#endif

/* All filters: the pairs, then for an odd number of them the last two, one of them once more (which
   nothing can be added to). */
NN_INLINE void nn_dot_columns_s8_dsp(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                     NN_DOT_PARAMETERS)
{
    const int8_t *end = y + (out_c & ~1);
    for (int32_t part = 0; part <= (out_c & 1); part++) {
#if NN_DSP_JOBS
        if (add == NULL && nn_dot_is_shared(cols, groups, pitch, step)) {
            stream = nn_dot_shared(stream, x, y, end, cols, groups, pitch, step, out_c, shift,
                                   out_zp, lo, hi);
        } else
#endif
        {
            stream = nn_dot_s8_dsp(stream, x, y, end, cols, NN_DOT_ARGUMENTS);
        }
        y += out_c - 2;
        end = y + 2;
    }
}

#endif
