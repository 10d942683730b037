/* SPDX-License-Identifier: MIT
 *
 * float32 to int8, y = clamp(rint(x / scale) + zp), for cores with an FPU: x * (a + b), a + b being 1 / scale in
 * two floats, was proven to round to the same outputs when the code was generated. NaN and infinities take the
 * division. y may start where x does.
 */
#ifndef NN_QUANTIZE_F32_S8_FPU_H
#define NN_QUANTIZE_F32_S8_FPU_H

#include "nn_dsp.h"

NN_INLINE int8_t nn_quantize_fpu_store(float value, int32_t zp)
{
#if NN_ARM_DSP
    return (int8_t)__builtin_arm_ssat(__builtin_arm_qadd(nn_rint_f32(value), zp), 8);
#else
    return (int8_t)(nn_clamp_s32(nn_rint_f32(value), -128 - zp, 127 - zp) + zp);
#endif
}

NN_KERNEL void nn_quantize_f32_s8_fpu(int32_t count, float scale, float a, float b, int32_t zp, const float *x,
                                      int8_t *y)
{
    const float *const end = x + (count & ~3);

    while (x != end) {
        const float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
        const float v0 = __builtin_fmaf(x0, a, x0 * b), v1 = __builtin_fmaf(x1, a, x1 * b);
        const float v2 = __builtin_fmaf(x2, a, x2 * b), v3 = __builtin_fmaf(x3, a, x3 * b);
        const float sum = (v0 + v1) + (v2 + v3);
        if (sum == sum) {
            y[0] = nn_quantize_fpu_store(v0, zp);
            y[1] = nn_quantize_fpu_store(v1, zp);
            y[2] = nn_quantize_fpu_store(v2, zp);
            y[3] = nn_quantize_fpu_store(v3, zp);
        } else { /* one of them is a NaN, or was infinite */
            y[0] = nn_quantize_s8(x0 / scale, zp, -128, 127);
            y[1] = nn_quantize_s8(x1 / scale, zp, -128, 127);
            y[2] = nn_quantize_s8(x2 / scale, zp, -128, 127);
            y[3] = nn_quantize_s8(x3 / scale, zp, -128, 127);
        }
        x += 4;
        y += 4;
    }
    for (int32_t i = 0; i < (count & 3); i++) {
        y[i] = nn_quantize_s8(x[i] / scale, zp, -128, 127);
    }
}

#endif
