/* SPDX-License-Identifier: MIT
 *
 * y = a + b on int8, as ONNX Runtime's QLinearAdd: with ratios of scales r and the constant
 * fixed = y_zp - (a_ratio * a_zp + b_ratio * b_zp), y = rint(fma(a_ratio, a, fma(b_ratio, b, fixed))).
 * All that in the file's integers: `origin` is what to add to an int8 (128 for uint8).
 * Cores without an FPU first compute the sum in fixed point, and in float only where that leaves a doubt.
 * y may be a or b where that input is not broadcast.
 */
#ifndef NN_ADD_S8_H
#define NN_ADD_S8_H

#include "nn_broadcast.h"
#include "nn_requant.h"

typedef struct {
    float a_ratio, b_ratio, fixed;
    int32_t origin;
    int32_t lo, hi;
    /* y + 1/2 is a_factor * a + b_factor * b + offset with `shift` bits of fraction, at most `doubt` off. */
    int32_t a_factor, b_factor, offset, shift, doubt;
} nn_add;

NN_INLINE int8_t nn_add_float(int32_t a, int32_t b, const nn_add *q)
{
    const float sum =
        nn_fma_f32((float)(a + q->origin), q->a_ratio,
                   nn_fma_f32((float)(b + q->origin), q->b_ratio, q->fixed));
    return nn_quantize_s8(sum, -q->origin, q->lo, q->hi);
}

#if defined(NN_REQUANT_INTEGER)

NN_RARE int8_t nn_add_doubtful(int32_t a, int32_t b, const nn_add *q)
{
    return nn_add_float(a, b, q);
}

NN_INLINE int8_t nn_add_value(int32_t a, int32_t b, const nn_add *q)
{
    const int32_t sum = a * q->a_factor + b * q->b_factor + q->offset;
    if (nn_is_doubtful(sum, q->shift, q->doubt)) {
        return nn_add_doubtful(a, b, q);
    }
    return (int8_t)nn_clamp_s32(sum >> q->shift, q->lo, q->hi);
}

#else

NN_INLINE int8_t nn_add_value(int32_t a, int32_t b, const nn_add *q)
{
    return nn_add_float(a, b, q);
}

#endif

NN_KERNEL void nn_add_s8(const nn_broadcast *p, const nn_add *q, const int8_t *a, const int8_t *b,
                      int8_t *y)
{
    NN_BROADCAST(p, i, j, *y++ = nn_add_value(a[i], b[j], q));
}

#endif
