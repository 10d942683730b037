/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer of one row on cores without DSP extension: four filters at a time, whose weights
 * alternate, with inputs x + 128 in scratch.
 */
#ifndef NN_DENSE_S8_V6M_H
#define NN_DENSE_S8_V6M_H

#include "nn_v6m.h"

/* A word has the weights of four filters. Its upper bytes are not masked away: with S0 to S3 the sums of the
   word shifted down by 0, 8, 16, 24 bits, filter i has Si - 256 S(i + 1), modulo 2^32. */
#define NN_DENSE_TAP_V6M(k, w)              \
    "ldrb r2, [r0, #" k "]\n"               \
    "lsrs r3, " w ", #8\n"                  \
    "muls r3, r2, r3\nadd r9, r9, r3\n"     \
    "lsrs r3, " w ", #16\n"                 \
    "muls r3, r2, r3\nadd r10, r10, r3\n"   \
    "lsrs r3, " w ", #24\n"                 \
    "muls r3, r2, r3\nadd r11, r11, r3\n"   \
    "muls " w ", r2, " w "\nadd r8, r8, " w "\n"

#define NN_DENSE_TAPS_V6M(k0, k1) \
    "ldmia r1!, {r4, r5}\n" NN_DENSE_TAP_V6M(k0, "r4") NN_DENSE_TAP_V6M(k1, "r5")

/* `depth`, a multiple of 8, products into four sums. */
NN_INLINE void nn_dot1x4_v6m(const uint8_t *x, const uint8_t *w, int32_t depth, uint32_t start,
                             uint32_t *sums)
{
#if NN_V6M_BLOCKS
    static const uint32_t zeros[4] = {0u, 0u, 0u, 0u};
    NN_SUMS_V6M("1:\n"
                NN_DENSE_TAPS_V6M("0", "1")
                NN_DENSE_TAPS_V6M("2", "3")
                NN_DENSE_TAPS_V6M("4", "5")
                NN_DENSE_TAPS_V6M("6", "7")
                "adds r0, r0, #8\n"
                "cmp r0, r12\n"
                "bne 1b\n",
                x, w, zeros, 0u, (uint32_t)(uintptr_t)(x + depth), sums);
    sums[0] += start - (sums[1] << 8);
    sums[1] += start - (sums[2] << 8);
    sums[2] += start - (sums[3] << 8);
    sums[3] += start;
#else
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = start;
        for (int32_t k = 0; k < depth; k++) {
            sums[i] += (uint32_t)(x[k] * w[4 * k + i]);
        }
    }
#endif
}

NN_ONE_BODY void nn_connect_v6m(int32_t depth, int32_t cols, int32_t w_zero, const nn_end_v6m *end,
                                const int8_t *x, const uint8_t *w, const int32_t *record, int8_t *y,
                                uint8_t *scratch)
{
    const int32_t filled = (depth + 7) & ~7;
    const int32_t low_shift = end->low_shift;
    uint32_t total = 0u, start;

    for (int32_t k = 0; k < depth; k++) {
        const uint32_t value = (uint32_t)(x[k] + 128);
        total += value;
        scratch[k] = (uint8_t)value;
    }
    for (int32_t k = depth; k < filled; k++) {
        scratch[k] = 0u;
    }
    start = 0u - total * (uint32_t)w_zero;
    for (int32_t c = 0; c < cols; c += 4) {
        uint32_t sums[4];
        nn_dot1x4_v6m(scratch, w, filled, start, sums);
        w += 4 * filled;
        for (int32_t i = 0; i < 4 && c + i < cols; i++) {
            *y++ = nn_requant_v6m(sums[i], record, low_shift, end);
            record += NN_RECORD_V6M;
        }
    }
}

/* w[fours][depth filled up to eights][4], as w + 128, w_zero for 0; scratch: a byte per input, in eights. */
NN_KERNEL void nn_dense_s8_v6m(int32_t depth, int32_t cols, int32_t w_zero, const nn_end_v6m *end,
                               const int8_t *x, const uint8_t *w, const int32_t *records, int8_t *y,
                               uint8_t *scratch)
{
    nn_connect_v6m(depth, cols, w_zero, end, x, w, records, y, scratch);
}

#endif
