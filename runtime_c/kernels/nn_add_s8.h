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
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                const int8_t *const row_a =
                    a + i * p->a_step[0] + j * p->a_step[1] + k * p->a_step[2];
                const int8_t *const row_b =
                    b + i * p->b_step[0] + j * p->b_step[1] + k * p->b_step[2];
                for (int32_t l = 0; l < p->size[3]; l++) {
                    const int32_t a_value = row_a[l * p->a_step[3]];
                    const int32_t b_value = row_b[l * p->b_step[3]];
                    *y++ = nn_add_value(a_value, b_value, q);
                }
            }
        }
    }
}

#endif
