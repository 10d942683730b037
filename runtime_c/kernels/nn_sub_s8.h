/* SPDX-License-Identifier: MIT
 *
 * y = a - b on int8 in float between dequantization and quantization, as ONNX Runtime runs QDQ Sub:
 * y = rint(((a - a_zp) * a_scale - (b - b_zp) * b_scale) / y_scale) + y_zp.
 * Cores without an FPU first compute it in fixed point, and in float only where that leaves a doubt.
 * y may be a or b where that input is not broadcast.
 */
#ifndef NN_SUB_S8_H
#define NN_SUB_S8_H

#include "nn_broadcast.h"
#include "nn_requant.h"

typedef struct {
    float a_scale, b_scale, out_scale;
    int32_t a_zp, b_zp, out_zp;
    int32_t lo, hi;
    /* y + 1/2 is a_factor * a - b_factor * b + offset with `shift` bits of fraction, at most `doubt` off. */
    int32_t a_factor, b_factor, offset, shift, doubt;
} nn_sub;

NN_INLINE int8_t nn_sub_float(int32_t a, int32_t b, const nn_sub *q)
{
    const float a_real = (float)(a - q->a_zp) * q->a_scale;
    const float b_real = (float)(b - q->b_zp) * q->b_scale;
    return nn_quantize_s8((a_real - b_real) / q->out_scale, q->out_zp, q->lo, q->hi);
}

#if defined(NN_REQUANT_INTEGER)

NN_RARE int8_t nn_sub_doubtful(int32_t a, int32_t b, const nn_sub *q)
{
    return nn_sub_float(a, b, q);
}

NN_INLINE int8_t nn_sub_value(int32_t a, int32_t b, const nn_sub *q)
{
    const int32_t value = a * q->a_factor - b * q->b_factor + q->offset;
    if (nn_is_doubtful(value, q->shift, q->doubt)) {
        return nn_sub_doubtful(a, b, q);
    }
    return (int8_t)nn_clamp_s32(value >> q->shift, q->lo, q->hi);
}

#else

NN_INLINE int8_t nn_sub_value(int32_t a, int32_t b, const nn_sub *q)
{
    return nn_sub_float(a, b, q);
}

#endif

NN_KERNEL void nn_sub_s8(const nn_broadcast *p, const nn_sub *q, const int8_t *a, const int8_t *b,
                      int8_t *y)
{
    NN_BROADCAST(p, i, j, *y++ = nn_sub_value(a[i], b[j], q));
}

#endif
