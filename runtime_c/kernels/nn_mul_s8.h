/* SPDX-License-Identifier: MIT
 *
 * y = a * b on int8, as ONNX Runtime's QLinearMul: y = rint((a - a_zp) * (b - b_zp) * ratio + y_zp),
 * ratio = a_scale * b_scale / y_scale; each operation rounds to float32. `origin` is what to add to an int8
 * for the integer that the file has (128 for uint8): float32 rounds where that lies.
 * Cores without an FPU first compute it in fixed point, and in float only where that leaves a doubt.
 * y may be a or b where that input is not broadcast.
 */
#ifndef NN_MUL_S8_H
#define NN_MUL_S8_H

#include "nn_broadcast.h"
#include "nn_requant.h"

typedef struct {
    float ratio;
    int32_t a_zp, b_zp, out_zp;
    int32_t origin;
    int32_t lo, hi;
    /* y + 1/2 of a product is factor * product + offset with `shift` bits of fraction, at most `doubt` off. */
    int32_t factor, offset, shift, doubt;
} nn_mul;

NN_INLINE int8_t nn_mul_float(int32_t a, int32_t b, const nn_mul *q)
{
    const int32_t product = (a - q->a_zp) * (b - q->b_zp);
    const float scaled = (float)product * q->ratio + (float)(q->out_zp + q->origin);
    return nn_quantize_s8(scaled, -q->origin, q->lo, q->hi);
}

#if defined(NN_REQUANT_INTEGER)

NN_RARE int8_t nn_mul_doubtful(int32_t a, int32_t b, const nn_mul *q)
{
    return nn_mul_float(a, b, q);
}

NN_INLINE int8_t nn_mul_value(int32_t a, int32_t b, const nn_mul *q)
{
    const int32_t value = (a - q->a_zp) * (b - q->b_zp) * q->factor + q->offset;
    if (nn_is_doubtful(value, q->shift, q->doubt)) {
        return nn_mul_doubtful(a, b, q);
    }
    return (int8_t)nn_clamp_s32(value >> q->shift, q->lo, q->hi);
}

#else

NN_INLINE int8_t nn_mul_value(int32_t a, int32_t b, const nn_mul *q)
{
    return nn_mul_float(a, b, q);
}

#endif

NN_KERNEL void nn_mul_s8(const nn_broadcast *p, const nn_mul *q, const int8_t *a, const int8_t *b,
                      int8_t *y)
{
    NN_BROADCAST(p, i, j, *y++ = nn_mul_value(a[i], b[j], q));
}

#endif
