/* SPDX-License-Identifier: MIT
 *
 * Requantization: y = clamp(rint((float)acc * multiplier) + out_zp, lo, hi), to the bit as ONNX Runtime.
 *
 * Three roundings: int32 to float32, the product to float32, the product to an integer; each to nearest,
 * ties to even. Cores with an FPU do just that. Others get the same result from integers:
 *
 *   With a = |acc| < 2^24 (exact in float32) and multiplier = mant * 2^(e-150), 2^23 <= mant < 2^24, the
 *   exact product is x = a * mant * 2^(e-150) = P * 2^-24 * 2^-s, where P = a * mant and s = 126 - e.
 *   Rounding to float32 is monotonic and every tie k + 1/2 of interest is a float32, so it cannot carry x
 *   across a tie; it can only carry x onto one, and only from less than 2^24 in units of P.
 *   So floor(x + 1/2) from the upper part of P is right unless that part lies within 1 of a tie. Then,
 *   and for large a or odd multipliers, nn_rint_scaled_slow does the three roundings one by one.
 *   Each rounding is symmetric, so signs (a multiplier may be negative) are put off to the end.
 *
 * A multiplier is finite and normal; a subnormal one gives 0 as it would in float32.
 *
 * NN_REQUANT_INTEGER forces the integers, and NN_REQUANT_MUL16 those for cores that multiply only
 * 32x32->32 (Cortex-M0+), so that hosts can test them.
 */
#ifndef NN_REQUANT_H
#define NN_REQUANT_H

#include "nn_common.h"

#if defined(__arm__) && !NN_ARM_FPU && !defined(NN_REQUANT_INTEGER)
#define NN_REQUANT_INTEGER
#endif
#if defined(__ARM_ARCH_6M__) && !defined(NN_REQUANT_MUL16)
#define NN_REQUANT_MUL16
#endif

/* How an accumulator becomes int8. `per_channel` is 1 when there is a multiplier per output channel. */
typedef struct {
    int32_t in_zp, out_zp;
    int32_t lo, hi;
    int32_t per_channel;
} nn_requant;

#if defined(NN_REQUANT_INTEGER)

/* |rint((float)acc * m)| for any a = |acc| and the bits of m; beyond 2^23 some integer of at least 2^23. */
NN_RARE uint32_t nn_rint_scaled_slow(uint32_t a, uint32_t bits)
{
    const uint32_t mant = (bits & 0x7FFFFFu) | 0x800000u;
    int32_t s = 126 - (int32_t)((bits << 1) >> 24);
    uint32_t high, mid, low;

    if (a == 0u || s > 125) {
        return 0u;
    }
    /* First rounding: a to 24 significant bits, by dropping one bit after another into `sticky`. */
    if (a >= 0x1000000u) {
        uint32_t half = 0u, sticky = 0u;
        while (a >= 0x1000000u) {
            sticky |= half;
            half = a & 1u;
            a >>= 1;
            s--;
        }
        a += half & (sticky | a);
    }
    /* P = a * mant = high * 2^24 + low, from 12-bit digits; a may be 2^24 itself. */
    mid = (a >> 12) * (mant & 0xFFFu) + (a & 0xFFFu) * (mant >> 12);
    low = (a & 0xFFFu) * (mant & 0xFFFu) + ((mid & 0xFFFu) << 12);
    high = (a >> 12) * (mant >> 12) + (mid >> 12) + (low >> 24);
    low &= 0xFFFFFFu;
    /* Second rounding: P to 24 significant bits, which stand in `high` once its bit 23 is set. */
    while (high < 0x800000u) {
        high = (high << 1) | (low >> 23);
        low = (low << 1) & 0xFFFFFFu;
        s++;
    }
    high += (low > 0x800000u || (low == 0x800000u && (high & 1u) != 0u)) ? 1u : 0u;
    /* Third rounding: high * 2^-s to an integer. */
    if (s <= 0) {
        return 0x800000u;
    }
    if (s > 25) {
        return 0u;
    }
    low = high & ((1u << s) - 1u);
    mid = 1u << (s - 1);
    high >>= s;
    return high + ((low > mid || (low == mid && (high & 1u) != 0u)) ? 1u : 0u);
}

/* The product's upper part, floor(a * mant / 2^24) or one less; a < 2^24. */
NN_INLINE uint32_t nn_mul_high24(uint32_t a, uint32_t mant)
{
#if defined(NN_REQUANT_MUL16)
    const uint32_t a_high = a >> 12, a_low = a & 0xFFFu;
    const uint32_t m_high = mant >> 12, m_low = mant & 0xFFFu;
    return a_high * m_high + ((a_high * m_low + a_low * m_high) >> 12);
#else
    return (uint32_t)(((uint64_t)a * (mant << 8)) >> 32);
#endif
}

NN_INLINE int32_t nn_rint_scaled(int32_t acc, float multiplier)
{
    const uint32_t bits = nn_bits_of_f32(multiplier);
    const uint32_t exponent = (bits << 1) >> 24;
    const uint32_t acc_sign = (uint32_t)(acc >> 31); /* 0 or all ones */
    const uint32_t sign = (uint32_t)((acc ^ (int32_t)bits) >> 31);
    const uint32_t a = ((uint32_t)acc ^ acc_sign) - acc_sign;
    uint32_t rounded;

    if (a < 0x1000000u && exponent - 95u <= 28u) {
        /* From P's upper part, or one less: where does x + 1/2 lie, and does the doubt matter? */
        const uint32_t s = 126u - exponent;
        const uint32_t mant = (bits & 0x7FFFFFu) | 0x800000u;
        const uint32_t least = nn_mul_high24(a, mant) + (1u << (s - 1u)) - 1u;
        rounded = least >> s;
        if (rounded != (least + 3u) >> s) {
            rounded = nn_rint_scaled_slow(a, bits);
        }
    } else {
        rounded = nn_rint_scaled_slow(a, bits);
    }
    return (int32_t)((rounded ^ sign) - sign);
}

#else

NN_INLINE int32_t nn_rint_scaled(int32_t acc, float multiplier)
{
    return nn_rint_f32((float)acc * multiplier);
}

#endif

/* acc + sum((x[k] - x_zp) * (w[k] - w_zp)), modulo 2^32. */
NN_PART int32_t nn_inner_s8(int32_t acc, int32_t depth, const int8_t *x, int32_t x_zp,
                            const int8_t *w, int32_t w_zp)
{
    for (int32_t k = 0; k < depth; k++) {
        acc = nn_add_wrap(acc, (x[k] - x_zp) * (w[k] - w_zp));
    }
    return acc;
}

/* Whether a fixed-point number with `shift` bits of fraction lies within `doubt` of an integer: cores without
   an FPU use such numbers in place of float32 sums, and ask float32 where rounding might differ. */
NN_INLINE int nn_is_doubtful(int32_t value, int32_t shift, int32_t doubt)
{
    return ((uint32_t)(value + doubt) & ((1u << shift) - 1u)) <= 2u * (uint32_t)doubt;
}

NN_INLINE int8_t nn_requant_s8(int32_t acc, float multiplier, const nn_requant *q)
{
    const int32_t rounded = nn_rint_scaled(acc, multiplier);
    return (int8_t)(nn_clamp_s32(rounded, q->lo - q->out_zp, q->hi - q->out_zp) + q->out_zp);
}

#endif
