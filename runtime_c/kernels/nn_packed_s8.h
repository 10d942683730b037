/* SPDX-License-Identifier: MIT
 *
 * From sums of packed weights (256 times the dot product and what starts hold) to outputs, on cores with the
 * DSP extension. The constants of `count` filters are multiplier and offset of each; where no exact
 * multiplier exists: 0, a hole up to half of `count`, scales (float bits), biases.
 */
#ifndef NN_PACKED_S8_H
#define NN_PACKED_S8_H

#include "nn_dsp.h"

#if NN_DSP_BLOCKS || NN_DSP_JOBS

/* To lo..hi, names of immediates, where int8 does not do it. */
#define NN_LIMIT(acc, lo, hi)         \
    ".if %c[" lo "] > -128\n"         \
    "cmp " acc ", #%c[" lo "]\n"      \
    "it lt\n"                         \
    "movlt " acc ", #%c[" lo "]\n"    \
    ".endif\n"                        \
    ".if %c[" hi "] < 127\n"          \
    "cmp " acc ", #%c[" hi "]\n"      \
    "it gt\n"                         \
    "movgt " acc ", #%c[" hi "]\n"    \
    ".endif\n"

#define NN_SCALE(acc, multiplier, offset)                     \
    "smmla " acc ", " acc ", " multiplier ", " offset "\n"    \
    "ssat " acc ", #8, " acc ", asr #%c[shift]\n"             \
    NN_LIMIT(acc, "lo", "hi")

/* The dot product and its bias times a scale, rounded, by way of the register `s`. */
#define NN_ROUND(acc, s, scale, bias)            \
    "add " acc ", " bias ", " acc ", asr #8\n"   \
    "vmov " s ", " acc "\n"                      \
    "vcvt.f32.s32 " s ", " s "\n"                \
    "vmul.f32 " s ", " s ", " scale "\n"         \
    "vcvtr.s32.f32 " s ", " s "\n"               \
    "vmov " acc ", " s "\n"

#define NN_FLOAT(acc, s, scale, bias)      \
    NN_ROUND(acc, s, scale, bias)          \
    "add " acc ", " acc ", #%c[zp]\n"      \
    "ssat " acc ", #8, " acc "\n"          \
    NN_LIMIT(acc, "lo", "hi")

#endif

/* The output of one filter of `count`, in plain C. */
NN_INLINE int8_t nn_packed_requant(int32_t sum, const uint32_t *constants, int32_t filter,
                                   int32_t count, int32_t shift, int32_t out_zp, int32_t lo,
                                   int32_t hi)
{
    int32_t value;
    if (constants[0] != 0u) {
        const int32_t multiplier = (int32_t)constants[2 * filter];
        value = nn_ssat8_asr(nn_smmla(sum, multiplier, (int32_t)constants[2 * filter + 1]), shift);
    } else {
        const float scale = nn_f32_of_bits(constants[count / 2 + filter]);
        const int32_t acc = (sum >> 8) + (int32_t)constants[count / 2 + count + filter];
        value = nn_clamp_s32(nn_rint_f32((float)acc * scale), -1024, 1024) + out_zp;
    }
    return (int8_t)nn_clamp_s32(value, lo, hi);
}

#endif
