/* SPDX-License-Identifier: MIT
 *
 * Fully connected layer in float32 for cores with an FPU: eight filters at a time, two inputs at a time.
 * Stream of eight filters: biases, then [depth][8] weights; the last eight may repeat some.
 */
#ifndef NN_DENSE_F32_BLOCKED_H
#define NN_DENSE_F32_BLOCKED_H

#include "nn_dsp.h"

#if NN_FPU_BLOCKS

/* NN_FUSED_BLOCKS: see nn_conv2d_f32_blocked.h. */
#if defined(NN_FUSED_BLOCKS)
#define NN_DENSE_FMA4(x, w0, w1, w2, w3, a0, a1, a2, a3) \
    "vfma.f32 " a0 ", " w0 ", " x "\n"                   \
    "vfma.f32 " a1 ", " w1 ", " x "\n"                   \
    "vfma.f32 " a2 ", " w2 ", " x "\n"                   \
    "vfma.f32 " a3 ", " w3 ", " x "\n"
#else
#define NN_DENSE_FMA4(x, w0, w1, w2, w3, a0, a1, a2, a3) \
    "vmul.f32 s26, " w0 ", " x "\n"                      \
    "vmul.f32 s27, " w1 ", " x "\n"                      \
    "vmul.f32 s28, " w2 ", " x "\n"                      \
    "vmul.f32 s29, " w3 ", " x "\n"                      \
    "vadd.f32 " a0 ", " a0 ", s26\n"                     \
    "vadd.f32 " a1 ", " a1 ", s27\n"                     \
    "vadd.f32 " a2 ", " a2 ", s28\n"                     \
    "vadd.f32 " a3 ", " a3 ", s29\n"
#endif
#define NN_DENSE_FMA8(x, w0, w1, w2, w3, w4, w5, w6, w7)       \
    NN_DENSE_FMA4(x, w0, w1, w2, w3, "s0", "s1", "s2", "s3")   \
    NN_DENSE_FMA4(x, w4, w5, w6, w7, "s4", "s5", "s6", "s7")

NN_INLINE const float *nn_dense_f32_eight(const float *stream, const float *x, float *y,
                                          int32_t pairs, const int32_t unroll, const int32_t odd)
{
    register const float *r_stream __asm__("r0") = stream;
    register const float *r_x __asm__("r1") = x;
    register float *r_y __asm__("r2") = y;
    register int32_t r_pairs __asm__("r3") = pairs;
    __asm__ volatile(
        ".syntax unified\n"
        "vldm r0!, {s0-s7}\n"
        "cmp r3, #0\n"
        "beq 2f\n"
        "1:\n"
        ".rept %c[unroll]\n"
        "vldm r0!, {s8-s23}\n"
        "vldm r1!, {s24-s25}\n"
        NN_DENSE_FMA8("s24", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15")
        NN_DENSE_FMA8("s25", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23")
        ".endr\n"
        "subs r3, r3, #%c[unroll]\n"
        "bne 1b\n"
        "2:\n"
        ".if %c[odd]\n"
        "vldm r0!, {s8-s15}\n"
        "vldm r1!, {s24}\n"
        NN_DENSE_FMA8("s24", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15")
        ".endif\n"
        "vstm r2, {s0-s7}\n"
        NN_LINES_256
        : "+r"(r_stream), "+r"(r_x), "+r"(r_y), "+r"(r_pairs)
        : [unroll] "i"(unroll), [odd] "i"(odd)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
          "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24",
          "s25", "s26", "s27", "s28", "s29");
    return r_stream;
}

#else

NN_INLINE const float *nn_dense_f32_eight(const float *stream, const float *x, float *y,
                                          int32_t pairs, const int32_t unroll, const int32_t odd)
{
    const int32_t depth = 2 * pairs + odd;
    (void)unroll;
    for (int32_t f = 0; f < 8; f++) {
        float sum = stream[f];
        for (int32_t k = 0; k < depth; k++) {
            sum += x[k] * stream[8 + 8 * k + f];
        }
        y[f] = sum;
    }
    return stream + 8 + 8 * depth;
}

#endif

/* At least 8 columns. */
NN_KERNEL void nn_dense_f32_blocked(int32_t rows, int32_t depth, int32_t cols, int32_t clamp,
                                    float lo, float hi, const float *x, const float *stream,
                                    float *y)
{
    for (int32_t row = 0; row < rows; row++) {
        const float *w = stream;
        for (int32_t f = 0; f < cols; f += 8) {
            float *const to = y + row * cols + (f + 8 > cols ? cols - 8 : f);
            w = nn_dense_f32_eight(w, x + row * depth, to, depth / 2, depth / 2 % 2 == 0 ? 2 : 1,
                                   depth & 1);
        }
    }
    if (clamp != 0) {
        for (int32_t i = 0; i < rows * cols; i++) {
            y[i] = nn_clamp_f32(y[i], lo, hi);
        }
    }
}

#endif
