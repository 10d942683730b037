/* SPDX-License-Identifier: MIT
 *
 * PRelu on int8 in float between dequantization and quantization, as ONNX Runtime runs it:
 * y = rint(u / y_scale) + y_zp with u = (x - x_zp) * x_scale, times its slope where it is not positive.
 * Cores without an FPU first compute it in fixed point, and in float only where that leaves a doubt.
 * `p` broadcasts slope[] and factor[] as input b; y may be x.
 */
#ifndef NN_PRELU_S8_H
#define NN_PRELU_S8_H

#include "nn_broadcast.h"
#include "nn_requant.h"

typedef struct {
    float in_scale, out_scale;
    int32_t in_zp, out_zp;
    int32_t lo, hi;
    /* y + 1/2 is f * (x - x_zp) + offset with `shift` bits of fraction, at most `doubt` off; f is
       pass_factor, or the slope's factor. */
    int32_t pass_factor, offset, shift, doubt;
} nn_prelu;

NN_INLINE int8_t nn_prelu_float(int32_t x, float slope, const nn_prelu *q)
{
    const float real = (float)x * q->in_scale;
    const float value = real > 0.0f ? real : real * slope;
    return nn_quantize_s8(value / q->out_scale, q->out_zp, q->lo, q->hi);
}

#if defined(NN_REQUANT_INTEGER)

NN_RARE int8_t nn_prelu_doubtful(int32_t x, float slope, const nn_prelu *q)
{
    return nn_prelu_float(x, slope, q);
}

NN_INLINE int8_t nn_prelu_value(int32_t x, float slope, int32_t factor, const nn_prelu *q)
{
    const int32_t value = x * (x > 0 ? q->pass_factor : factor) + q->offset;
    if (nn_is_doubtful(value, q->shift, q->doubt)) {
        return nn_prelu_doubtful(x, slope, q);
    }
    return (int8_t)nn_clamp_s32(value >> q->shift, q->lo, q->hi);
}

#else

NN_INLINE int8_t nn_prelu_value(int32_t x, float slope, int32_t factor, const nn_prelu *q)
{
    (void)factor;
    return nn_prelu_float(x, slope, q);
}

#endif

NN_KERNEL void nn_prelu_s8(const nn_broadcast *p, const nn_prelu *q, const int8_t *x,
                           const float *restrict slope, const int32_t *restrict factor, int8_t *y)
{
    NN_BROADCAST(p, i, j, *y++ = nn_prelu_value(x[i] - q->in_zp, slope[j], factor[j], q));
}

#endif
