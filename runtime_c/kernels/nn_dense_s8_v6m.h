/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer of one row on cores without DSP extension: four filters at a time, whose weights
 * alternate, with inputs x + 128 in scratch.
 */
#ifndef NN_DENSE_S8_V6M_H
#define NN_DENSE_S8_V6M_H

#include "nn_v6m.h"

#define NN_DENSE_TAP_V6M(k, w0, w1, w2, w3)                                  \
    "ldrb r2, [r0, #" k "]\n"                                                \
    "ldrb r3, [r1, #" w0 "]\nmuls r3, r2, r3\nadd r8, r8, r3\n"              \
    "ldrb r3, [r1, #" w1 "]\nmuls r3, r2, r3\nadd r9, r9, r3\n"              \
    "ldrb r3, [r1, #" w2 "]\nmuls r3, r2, r3\nadd r10, r10, r3\n"            \
    "ldrb r3, [r1, #" w3 "]\nmuls r2, r3, r2\nadd r11, r11, r2\n"

/* `depth`, a multiple of 8, products into four sums. */
NN_INLINE void nn_dot1x4_v6m(const uint8_t *x, const uint8_t *w, int32_t depth, uint32_t start,
                             uint32_t *sums)
{
#if NN_V6M_BLOCKS
    NN_SUMS_V6M("1:\n"
                NN_DENSE_TAP_V6M("0", "0", "1", "2", "3")
                NN_DENSE_TAP_V6M("1", "4", "5", "6", "7")
                NN_DENSE_TAP_V6M("2", "8", "9", "10", "11")
                NN_DENSE_TAP_V6M("3", "12", "13", "14", "15")
                NN_DENSE_TAP_V6M("4", "16", "17", "18", "19")
                NN_DENSE_TAP_V6M("5", "20", "21", "22", "23")
                NN_DENSE_TAP_V6M("6", "24", "25", "26", "27")
                NN_DENSE_TAP_V6M("7", "28", "29", "30", "31")
                "adds r0, r0, #8\n"
                "adds r1, r1, #32\n"
                "cmp r0, r12\n"
                "bne 1b\n",
                x, w, start, start, 0u, (uint32_t)(uintptr_t)(x + depth), sums);
#else
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = start;
        for (int32_t k = 0; k < depth; k++) {
            sums[i] += (uint32_t)(x[k] * w[4 * k + i]);
        }
    }
#endif
}

NN_ONE_BODY void nn_connect_v6m(int32_t depth, int32_t cols, const nn_end_v6m *end, const int8_t *x,
                                const uint8_t *w, const int32_t *record, int8_t *y, uint8_t *scratch)
{
    const int32_t filled = (depth + 7) & ~7;
    const int32_t low_shift = end->low_shift;
    uint32_t total = 0u;

    for (int32_t k = 0; k < depth; k++) {
        const uint32_t value = (uint32_t)(x[k] + 128);
        total += value;
        scratch[k] = (uint8_t)value;
    }
    for (int32_t k = depth; k < filled; k++) {
        scratch[k] = 0u;
    }
    for (int32_t c = 0; c < cols; c += 4) {
        uint32_t sums[4];
        nn_dot1x4_v6m(scratch, w, filled, 0u - (total << 7), sums);
        w += 4 * filled;
        for (int32_t i = 0; i < 4 && c + i < cols; i++) {
            *y++ = nn_requant_v6m(sums[i], record, low_shift, end);
            record += NN_RECORD_V6M;
        }
    }
}

/* w[fours][depth filled up to eights][4], as w + 128; scratch: a byte per input, in eights. */
NN_KERNEL void nn_dense_s8_v6m(int32_t depth, int32_t cols, const nn_end_v6m *end, const int8_t *x,
                               const uint8_t *w, const int32_t *records, int8_t *y, uint8_t *scratch)
{
    nn_connect_v6m(depth, cols, end, x, w, records, y, scratch);
}

#endif
