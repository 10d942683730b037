/* SPDX-License-Identifier: MIT
 *
 * Layer normalization: rows of mean 0 and variance 1, times scale[K], plus bias[K], which may be NULL.
 * x[M,K], y[M,K]; x and y may be the same array. The sums are ONNX Runtime's on x86, see codegen/oracle.
 */
#ifndef NN_LAYERNORM_F32_H
#define NN_LAYERNORM_F32_H

#include "nn_math_f32.h"

/* The mean, rounded once but for one in millions: with what each operation lost (Knuth's two-sum). */
NN_PART float nn_mean_f32(int32_t count, const float *x)
{
    const float size = (float)count;
    float sum = 0.0f, lost = 0.0f, mean;

    for (int32_t k = 0; k < count; k++) {
        const float total = sum + x[k];
        const float part = total - sum;
        lost += (sum - (total - part)) + (x[k] - part);
        sum = total;
    }
    mean = (sum + lost) / size;
    return mean + (nn_fma_f32(-mean, size, sum) + lost) / size;
}

/* The sum of (x - mean)^2: eight lanes, their halves upon each other, then what is left. */
NN_PART float nn_squares_f32(int32_t count, const float *x, float mean)
{
    const int32_t whole = count / 8 * 8, fours = count / 4 * 4;
    float lanes[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};

    for (int32_t k = 0; k < whole; k++) {
        const float d = x[k] - mean;
        lanes[k & 7] = nn_fma_f32(d, d, lanes[k & 7]);
    }
    for (int32_t half = 4; half > 0; half /= 2) {
        for (int32_t k = 0; k < half; k++) {
            lanes[k] += lanes[k + half];
        }
    }
    for (int32_t k = whole; k < count; k++) {
        const float d = x[k] - mean;
        lanes[0] = k < fours ? lanes[0] + d * d : nn_fma_f32(d, d, lanes[0]);
    }
    return lanes[0];
}

NN_KERNEL void nn_layernorm_f32(int32_t rows, int32_t cols, float epsilon, const float *x,
                                const float *restrict scale, const float *restrict bias, float *y)
{
    for (int32_t m = 0; m < rows; m++, x += cols, y += cols) {
        const float mean = nn_mean_f32(cols, x);
        const float variance = nn_squares_f32(cols, x, mean) / (float)cols;
        const float factor = 1.0f / nn_sqrt_f32(variance + epsilon);
        for (int32_t k = 0; k < cols; k++) {
            const float normal = (x[k] - mean) * factor;
            y[k] = bias != NULL ? nn_fma_f32(normal, scale[k], bias[k]) : normal * scale[k];
        }
    }
}

#endif
