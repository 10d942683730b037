/* SPDX-License-Identifier: MIT
 *
 * What int8 kernels for ARMv6-M share: requantization without a long multiply, and products of three columns
 * by two multiplications. Plain C elsewhere, with the same results.
 *
 * Three columns a, b, c of inputs meet the same weights, so their sums travel in two words, modulo 2^32:
 *
 *   first = A + 2^21 B    second = C + 2^10 B
 *
 * With 0 <= A, C < 2^21 and 0 <= B < 2^22 these 64 bits hold all three: A and the low 11 bits of B are the
 * fields of `first`; without those, `second` has C and the rest of B as its fields. Inputs are packed the
 * same way, once for all filters. Weights are stored as w + 128: ARMv6-M loads unsigned bytes with an
 * immediate offset, signed ones without. What that adds, 128 times the sum of the inputs (or what a zero point
 * of weights makes of 128), is taken from
 * where the sums start; 2^20 is added there, so that none is negative.
 */
#ifndef NN_V6M_H
#define NN_V6M_H

#include "nn_requant.h"

/* One body for all layers, never specialised: these functions are long, their callers few instructions. */
#if defined(__clang__)
#define NN_ONE_BODY static __attribute__((noinline, unused))
#else
#define NN_ONE_BODY static __attribute__((noinline, noclone, unused))
#endif

#if defined(__arm__) && defined(__thumb__) && defined(__OPTIMIZE__)
#define NN_V6M_BLOCKS 1
#else
#define NN_V6M_BLOCKS 0
#endif

/* An output channel's record: start, limit, low, high, offset (SplitMultiply of codegen/requant_split.py, with
   `start` what is added to the kernel's sum to be the distance from the centre). Without a proven recipe
   the limit is 0, start gives the accumulator, low is the multiplier's float32, and offset the result for 0.
   Short records, for small code, are just start and multiplier. */
#if defined(NN_SHORT_RECORDS)
enum { NN_RECORD_V6M = 2 };
#else
enum { NN_RECORD_V6M = 5 };
#endif

/* How sums become int8. */
typedef struct {
    int32_t low_shift;
    int32_t out_zp, lo, hi;
} nn_end_v6m;

NN_RARE int32_t nn_float_v6m(int32_t acc, int32_t bits, const nn_end_v6m *end)
{
    const int32_t rounded = nn_rint_scaled(acc, nn_f32_of_bits((uint32_t)bits));
    return nn_clamp_s32(rounded, end->lo - end->out_zp, end->hi - end->out_zp) + end->out_zp;
}

#if defined(NN_SHORT_RECORDS)

NN_INLINE int8_t nn_requant_v6m(uint32_t sum, const int32_t *record, int32_t low_shift,
                                const nn_end_v6m *end)
{
    (void)low_shift;
    return (int8_t)nn_float_v6m((int32_t)(sum + (uint32_t)record[0]), record[1], end);
}

NN_INLINE void nn_requant3_v6m(const uint32_t *sums, const int32_t *record, int32_t low_shift,
                               const nn_end_v6m *end, int32_t third, int8_t *y0, int8_t *y1, int8_t *y2)
{
    if (third != 0) {
        *y2 = nn_requant_v6m(sums[2], record, low_shift, end);
    }
    *y1 = nn_requant_v6m(sums[1], record, low_shift, end);
    *y0 = nn_requant_v6m(sums[0], record, low_shift, end);
}

#else

NN_INLINE int8_t nn_requant_v6m(uint32_t sum, const int32_t *record, int32_t low_shift,
                                const nn_end_v6m *end)
{
    const int32_t limit = record[1];
    int32_t d = (int32_t)(sum + (uint32_t)record[0]);

    if ((uint32_t)d + (uint32_t)limit > (uint32_t)limit * 2u) {
        if (limit == 0) {
            return (int8_t)nn_float_v6m(d, record[2], end);
        }
        d = d < 0 ? -limit : limit;
    }
    return (int8_t)((((d * record[2]) >> low_shift) + d * record[3] + record[4]) >> 22);
}

NN_INLINE int32_t nn_limit_v6m(int32_t d, int32_t limit)
{
    if ((uint32_t)d + (uint32_t)limit > (uint32_t)limit * 2u) {
        d = d < 0 ? -limit : limit;
    }
    return d;
}

/* Two or three outputs of one channel; each constant is loaded once. `third` tells which. */
NN_INLINE void nn_requant3_v6m(const uint32_t *sums, const int32_t *record, int32_t low_shift,
                               const nn_end_v6m *end, int32_t third, int8_t *y0, int8_t *y1, int8_t *y2)
{
    const int32_t start = record[0], limit = record[1];
    int32_t d0 = (int32_t)(sums[0] + (uint32_t)start);
    int32_t d1 = (int32_t)(sums[1] + (uint32_t)start);
    int32_t d2 = third != 0 ? (int32_t)(sums[2] + (uint32_t)start) : 0;
    int32_t factor, low0, low1, low2;

    if (limit == 0) {
        if (third != 0) {
            *y2 = (int8_t)nn_float_v6m(d2, record[2], end);
        }
        *y1 = (int8_t)nn_float_v6m(d1, record[2], end);
        *y0 = (int8_t)nn_float_v6m(d0, record[2], end);
        return;
    }
    d0 = nn_limit_v6m(d0, limit);
    d1 = nn_limit_v6m(d1, limit);
    d2 = third != 0 ? nn_limit_v6m(d2, limit) : 0;
    factor = record[2];
    low0 = (d0 * factor) >> low_shift;
    low1 = (d1 * factor) >> low_shift;
    low2 = third != 0 ? (d2 * factor) >> low_shift : 0;
    factor = record[3];
    d0 = d0 * factor + low0;
    d1 = d1 * factor + low1;
    d2 = third != 0 ? d2 * factor + low2 : 0;
    factor = record[4];
    if (third != 0) {
        *(uint8_t *)y2 = (uint8_t)((d2 + factor) >> 22);
    }
    *(uint8_t *)y1 = (uint8_t)((d1 + factor) >> 22);
    *(uint8_t *)y0 = (uint8_t)((d0 + factor) >> 22);
}

#endif

/* Blocks in assembly keep four sums in r8 to r11, which only additions reach: they start at the words at r2
   and end in r2 to r5. r0 and r1 run through inputs and weights. GCC does not save high registers on ARMv6-M
   where it optimises for size, and it leaps far by BL: lr is out of reach in long functions. */
#define NN_SUMS_LOAD_V6M                                                            \
    "ldmia r2!, {r4, r5}\nmov r8, r4\nmov r9, r5\nldmia r2!, {r4, r5}\nmov r10, r4\n" \
    "mov r11, r5\n"
#if defined(__OPTIMIZE_SIZE__) && defined(__ARM_ARCH_6M__)
#define NN_SUMS_START_V6M                                                                  \
    ".syntax unified\nmov r4, r8\nmov r5, r9\npush {r4, r5}\nmov r4, r10\nmov r5, r11\n" \
    "push {r4, r5}\n" NN_SUMS_LOAD_V6M
#define NN_SUMS_END_V6M                                                                      \
    "mov r2, r8\nmov r3, r9\nmov r4, r10\nmov r5, r11\npop {r0, r1}\nmov r10, r0\nmov r11, r1\n" \
    "pop {r0, r1}\nmov r8, r0\nmov r9, r1\n"
#define NN_SUMS_CLOBBERS_V6M "r6", "cc", "memory"
#else
#define NN_SUMS_START_V6M ".syntax unified\n" NN_SUMS_LOAD_V6M
#define NN_SUMS_END_V6M "mov r2, r8\nmov r3, r9\nmov r4, r10\nmov r5, r11\n"
#define NN_SUMS_CLOBBERS_V6M "r6", "r8", "r9", "r10", "r11", "cc", "memory"
#endif

/* Such a block: `other` is r3, `bound` is r12, and the sums are stored. */
#define NN_SUMS_V6M(text, inputs, weights, starts, other, bound, sums)                    \
    do {                                                                                  \
        register const void *at_r0 __asm__("r0") = (inputs);                              \
        register const void *at_r1 __asm__("r1") = (weights);                             \
        register uint32_t sum_r2 __asm__("r2") = (uint32_t)(uintptr_t)(starts);           \
        register uint32_t sum_r3 __asm__("r3") = (other);                                 \
        register uint32_t sum_r4 __asm__("r4");                                           \
        register uint32_t sum_r5 __asm__("r5");                                           \
        register uint32_t any_r12 __asm__("r12") = (bound);                               \
        __asm__ volatile(NN_SUMS_START_V6M text NN_SUMS_END_V6M                           \
                         : "+r"(at_r0), "+r"(at_r1), "+r"(sum_r2), "+r"(sum_r3),          \
                           "=r"(sum_r4), "=r"(sum_r5), "+r"(any_r12)                      \
                         :                                                                \
                         : NN_SUMS_CLOBBERS_V6M);                                         \
        (sums)[0] = sum_r2;                                                               \
        (sums)[1] = sum_r3;                                                               \
        (sums)[2] = sum_r4;                                                               \
        (sums)[3] = sum_r5;                                                               \
    } while (0)

/* Products of a tap. A halfword has the weights of both filters, first + 256 * second, and is used so: what
   the first one's sums have too much is 256 times the second's. */
#define NN_TAP_V6M(w)           \
    "ldmia r0!, {r2, r3}\n"     \
    "ldrh r4, [r1, #" w "]\n"   \
    "lsrs r5, r4, #8\n"         \
    "movs r6, r5\n"             \
    "muls r6, r2, r6\n"         \
    "muls r5, r3, r5\n"         \
    "add r10, r10, r6\n"        \
    "add r11, r11, r5\n"        \
    "muls r2, r4, r2\n"         \
    "muls r4, r3, r4\n"         \
    "add r8, r8, r2\n"          \
    "add r9, r9, r4\n"

/* `taps`, a multiple of 4, of two filters whose weights alternate: first and second of each. `starts` has
   those of the first filter, 257 times the second's, then the second's. */
NN_INLINE void nn_dot3x2_v6m(const uint32_t *packed, const uint8_t *w, int32_t taps,
                             const uint32_t *starts, uint32_t *words)
{
#if NN_V6M_BLOCKS
    const int32_t odd = taps & 4;
    NN_SUMS_V6M("cmp r3, #0\n"
                "bne 2f\n"
                "1:\n" NN_TAP_V6M("0") NN_TAP_V6M("2") NN_TAP_V6M("4") NN_TAP_V6M("6")
                "2:\n" NN_TAP_V6M("8") NN_TAP_V6M("10") NN_TAP_V6M("12") NN_TAP_V6M("14")
                "adds r1, r1, #16\n"
                "cmp r0, r12\n"
                "bne 1b\n",
                packed, w - 2 * odd, starts, (uint32_t)odd,
                (uint32_t)(uintptr_t)(packed + 2 * taps), words);
#else
    for (int32_t i = 0; i < 4; i++) {
        words[i] = starts[i];
    }
    for (int32_t k = 0; k < taps; k++) {
        const uint32_t both = w[2 * k] + 256u * w[2 * k + 1];
        words[0] += packed[2 * k] * both;
        words[1] += packed[2 * k + 1] * both;
        words[2] += packed[2 * k] * (both >> 8);
        words[3] += packed[2 * k + 1] * (both >> 8);
    }
#endif
    words[0] -= words[2] << 8;
    words[1] -= words[3] << 8;
}

/* Three sums from two words. */
NN_INLINE void nn_unpack3_v6m(uint32_t first, uint32_t second, uint32_t *sums)
{
    const uint32_t b_low = first >> 21;
    const uint32_t rest = second - (b_low << 10);
    sums[0] = first & 0x1FFFFFu;
    sums[1] = b_low + (rest >> 21 << 11);
    sums[2] = rest & 0x1FFFFFu;
}

#define NN_PACK_V6M          \
    "ldrsb r4, [r0, r1]\n"   \
    "ldrb r5, [r0]\n"        \
    "sxtb r5, r5\n"          \
    "lsls r3, r4, #21\n"     \
    "adds r3, r3, r5\n"      \
    "ldrsb r5, [r0, r2]\n"   \
    "lsls r4, r4, #10\n"     \
    "adds r4, r4, r5\n"      \
    "stmia r6!, {r3, r4}\n"  \
    "add r12, r12, r3\n"     \
    "add lr, lr, r4\n"       \
    "adds r0, r0, #1\n"

/* `count` inputs of three columns, packed; their sums are added to sums[0], sums[1]. Returns the end. */
NN_ONE_BODY uint32_t *nn_pack3_v6m(const int8_t *a, const int8_t *b, const int8_t *c, int32_t count,
                                   uint32_t *to, uint32_t *sums)
{
#if NN_V6M_BLOCKS
    const uint32_t odd = (uint32_t)count & 1u;
    register uintptr_t at __asm__("r0") = (uintptr_t)a;
    register uintptr_t to_b __asm__("r1") = (uintptr_t)b - (uintptr_t)a;
    register uintptr_t to_c __asm__("r2") = (uintptr_t)c - (uintptr_t)a;
    register uintptr_t end __asm__("r3") = (uintptr_t)a + (uint32_t)count;
    register uint32_t skip __asm__("r4") = odd;
    register uint32_t *place __asm__("r6") = to;
    register uint32_t first __asm__("r12") = sums[0];
    register uint32_t second __asm__("lr") = sums[1];
    __asm__ volatile(".syntax unified\n"
                     "mov r5, r8\n"
                     "push {r5}\n"
                     "mov r8, r3\n"
                     "cmp r4, #0\n"
                     "bne 2f\n"
                     "1:\n" NN_PACK_V6M
                     "2:\n" NN_PACK_V6M
                     "cmp r0, r8\n"
                     "bne 1b\n"
                     "pop {r5}\n"
                     "mov r8, r5\n"
                     : "+r"(at), "+r"(to_b), "+r"(to_c), "+r"(end), "+r"(skip), "+r"(place),
                       "+r"(first), "+r"(second)
                     :
                     : "r5", "cc", "memory");
    sums[0] = first;
    sums[1] = second;
    return place;
#else
    for (int32_t i = 0; i < count; i++) {
        const uint32_t middle = (uint32_t)b[i];
        to[0] = (uint32_t)a[i] + (middle << 21);
        to[1] = (uint32_t)c[i] + (middle << 10);
        sums[0] += to[0];
        sums[1] += to[1];
        to += 2;
    }
    return to;
#endif
}

#endif
