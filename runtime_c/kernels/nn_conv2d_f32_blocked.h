/* SPDX-License-Identifier: MIT
 *
 * Convolution in float32 for cores with an FPU, no dilation, no groups: four filters times four
 * neighbouring outputs in 16 registers, two inputs at a time. Columns that see padding, and what is
 * left of a row, go one by one.
 *
 * Stream of four filters: their biases, then [kernel_h][kernel_w][in_c][4] weights. When out_c is no
 * multiple of 4, the last four filters repeat some.
 */
#ifndef NN_CONV2D_F32_BLOCKED_H
#define NN_CONV2D_F32_BLOCKED_H

#include "nn_dsp.h"

/* What of a window is inside the input, and where: `run` floats from each of `rows` rows. */
typedef struct {
    const float *bias, *weights;
    const float *x;
    float *y;
    int32_t rows, run;
    int32_t x_skip, w_skip; /* from the end of a run to the start of the next, in floats */
    int32_t x_step, y_step; /* from column to column, in floats */
} nn_block_f32;

#if NN_FPU_BLOCKS

/* NN_FUSED_BLOCKS: multiply-adds are fused, which is fewer instructions, but three cycles each on Cortex-M4 and
   M33; either half is one, and needs registers, so that then the weights of an input wait for its turn. */
#if defined(NN_FUSED_BLOCKS)
#define NN_FMA4(x, w0, w1, w2, w3, a0, a1, a2, a3) \
    "vfma.f32 " a0 ", " w0 ", " x "\n"             \
    "vfma.f32 " a1 ", " w1 ", " x "\n"             \
    "vfma.f32 " a2 ", " w2 ", " x "\n"             \
    "vfma.f32 " a3 ", " w3 ", " x "\n"
#define NN_WEIGHTS_FIRST "vldm r0!, {s16-s23}\n"
#define NN_WEIGHTS_NEXT ""
#define NN_WEIGHTS2 "s20", "s21", "s22", "s23"
#else
#define NN_FMA4(x, w0, w1, w2, w3, a0, a1, a2, a3) \
    "vmul.f32 s20, " w0 ", " x "\n"                \
    "vmul.f32 s21, " w1 ", " x "\n"                \
    "vmul.f32 s22, " w2 ", " x "\n"                \
    "vmul.f32 s23, " w3 ", " x "\n"                \
    "vadd.f32 " a0 ", " a0 ", s20\n"               \
    "vadd.f32 " a1 ", " a1 ", s21\n"               \
    "vadd.f32 " a2 ", " a2 ", s22\n"               \
    "vadd.f32 " a3 ", " a3 ", s23\n"
#define NN_WEIGHTS_FIRST "vldm r0!, {s16-s19}\n"
#define NN_WEIGHTS_NEXT "vldm r0!, {s16-s19}\n"
#define NN_WEIGHTS2 "s16", "s17", "s18", "s19"
#endif
#define NN_FMA16(x0, x1, x2, x3, w0, w1, w2, w3)                    \
    NN_FMA4(x0, w0, w1, w2, w3, "s0", "s1", "s2", "s3")             \
    ".if %c[cols] == 4\n"                                           \
    NN_FMA4(x1, w0, w1, w2, w3, "s4", "s5", "s6", "s7")             \
    NN_FMA4(x2, w0, w1, w2, w3, "s8", "s9", "s10", "s11")           \
    NN_FMA4(x3, w0, w1, w2, w3, "s12", "s13", "s14", "s15")         \
    ".endif\n"
/* Both inputs of a pair. */
#define NN_FMA32_(x0, x1, x2, x3, ...) NN_FMA16(x0, x1, x2, x3, __VA_ARGS__)
#define NN_FMA32                                                      \
    NN_FMA16("s24", "s26", "s28", "s30", "s16", "s17", "s18", "s19")  \
    NN_WEIGHTS_NEXT NN_FMA32_("s25", "s27", "s29", "s31", NN_WEIGHTS2)
#define NN_BLOCK_PAIR                                          \
    NN_WEIGHTS_FIRST                                           \
    "vldm r1!, {s24-s25}\n"                                    \
    ".if %c[cols] == 4\n"                                      \
    "vldm r2!, {s26-s27}\n"                                    \
    "vldm r3!, {s28-s29}\n"                                    \
    "vldm r4!, {s30-s31}\n"                                    \
    ".endif\n"                                                 \
    NN_FMA32
#define NN_BLOCK_STORE(a, b, c, d, to)      \
    ".if %c[relu]\n"                        \
    "vmov r4, r5, " a ", " b "\n"           \
    "vmov r6, r7, " c ", " d "\n"           \
    "bic r4, r4, r4, asr #31\n"             \
    "bic r5, r5, r5, asr #31\n"             \
    "bic r6, r6, r6, asr #31\n"             \
    "bic r7, r7, r7, asr #31\n"             \
    "stm " to ", {r4-r7}\n"                 \
    ".else\n"                               \
    "vstm " to ", {" a "-" d "}\n"          \
    ".endif\n"

/* `cols` is 4 or 1; `unroll` pairs of inputs at a time, which divides run / 2 when `looped`. */
NN_INLINE void nn_block_f32_run(const nn_block_f32 *p, const int32_t cols, const int32_t unroll,
                                const int32_t odd, const int32_t relu)
{
    register const nn_block_f32 *r_p __asm__("r0") = p;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "mov r12, r0\n"
        "ldrd r5, r0, [r12]\n"
        "ldr r1, [r12, #8]\n"
        "ldrd r6, r9, [r12, #16]\n"
        "ldrd r7, r8, [r12, #24]\n"
        "lsl r7, r7, #2\n"
        "lsl r8, r8, #2\n"
        "vldm r5, {s0-s3}\n"
        ".if %c[cols] == 4\n"
        "ldr r4, [r12, #32]\n"
        "vldm r5, {s4-s7}\n"
        "vldm r5, {s8-s11}\n"
        "vldm r5, {s12-s15}\n"
        "add r2, r1, r4, lsl #2\n"
        "add r3, r2, r4, lsl #2\n"
        "add r4, r3, r4, lsl #2\n"
        ".endif\n"
        "lsr r9, r9, #1\n"
        "1:\n"
        "movs r5, r9\n"
        "beq 3f\n"
        "2:\n"
        ".rept %c[unroll]\n"
        NN_BLOCK_PAIR
        ".endr\n"
        "subs r5, r5, #%c[unroll]\n"
        "bne 2b\n"
        "3:\n"
        ".if %c[odd]\n"
        "vldm r0!, {s16-s19}\n"
        "vldm r1!, {s24}\n"
        ".if %c[cols] == 4\n"
        "vldm r2!, {s26}\n"
        "vldm r3!, {s28}\n"
        "vldm r4!, {s30}\n"
        ".endif\n"
        NN_FMA16("s24", "s26", "s28", "s30", "s16", "s17", "s18", "s19")
        ".endif\n"
        "subs r6, r6, #1\n"
        "add r0, r0, r8\n"
        "add r1, r1, r7\n"
        ".if %c[cols] == 4\n"
        "add r2, r2, r7\n"
        "add r3, r3, r7\n"
        "add r4, r4, r7\n"
        ".endif\n"
        "bne 1b\n"
        "ldr r0, [r12, #12]\n"
        ".if %c[cols] == 4\n"
        "ldr r8, [r12, #36]\n"
        "add r1, r0, r8, lsl #2\n"
        "add r2, r1, r8, lsl #2\n"
        "add r3, r2, r8, lsl #2\n"
        NN_BLOCK_STORE("s4", "s5", "s6", "s7", "r1")
        NN_BLOCK_STORE("s8", "s9", "s10", "s11", "r2")
        NN_BLOCK_STORE("s12", "s13", "s14", "s15", "r3")
        ".endif\n"
        NN_BLOCK_STORE("s0", "s1", "s2", "s3", "r0")
        "pop {r4-r11, lr}\n"
        NN_LINES_256
        : "+r"(r_p)
        : [cols] "i"(cols), [unroll] "i"(unroll), [odd] "i"(odd), [relu] "i"(relu)
        : "r1", "r2", "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
          "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20",
          "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31");
}

#define NN_SMALL_STORE(a, b, c, d)          \
    ".if %c[relu]\n"                        \
    "vmov r4, r5, " a ", " b "\n"           \
    "vmov r6, r12, " c ", " d "\n"          \
    "bic r4, r4, r4, asr #31\n"             \
    "bic r5, r5, r5, asr #31\n"             \
    "bic r6, r6, r6, asr #31\n"             \
    "bic r12, r12, r12, asr #31\n"          \
    "stm r2, {r4, r5, r6, r12}\n"           \
    ".else\n"                               \
    "vstm r2, {" a "-" d "}\n"              \
    ".endif\n"

/* A whole small window, unrolled: `bias` is followed by its weights, all steps are in bytes. */
NN_INLINE void nn_block_f32_small(const float *bias, const float *x, float *y, const int32_t cols,
                                  const int32_t rows, const int32_t run, const int32_t row_step,
                                  const int32_t x_step, const int32_t y_step, const int32_t relu)
{
    register const float *r_bias __asm__("r0") = bias;
    register const float *r_x __asm__("r1") = x;
    register float *r_y __asm__("r2") = y;
    __asm__ volatile(
        ".syntax unified\n"
        ".if %c[cols] == 4\n"
        "vldm r0, {s4-s7}\n"
        "vldm r0, {s8-s11}\n"
        "vldm r0, {s12-s15}\n"
        ".endif\n"
        "vldm r0!, {s0-s3}\n"
        ".set .Lnn_row, 0\n"
        ".rept %c[rows]\n"
        ".set .Lnn_at, .Lnn_row\n"
        ".rept %c[run] / 2\n"
        NN_WEIGHTS_FIRST
        "vldr d12, [r1, #.Lnn_at]\n"
        ".if %c[cols] == 4\n"
        "vldr d13, [r1, #.Lnn_at + %c[x_step]]\n"
        "vldr d14, [r1, #.Lnn_at + 2 * %c[x_step]]\n"
        "vldr d15, [r1, #.Lnn_at + 3 * %c[x_step]]\n"
        ".endif\n"
        NN_FMA32
        ".set .Lnn_at, .Lnn_at + 8\n"
        ".endr\n"
        ".if %c[run] & 1\n"
        "vldm r0!, {s16-s19}\n"
        "vldr s24, [r1, #.Lnn_at]\n"
        ".if %c[cols] == 4\n"
        "vldr s26, [r1, #.Lnn_at + %c[x_step]]\n"
        "vldr s28, [r1, #.Lnn_at + 2 * %c[x_step]]\n"
        "vldr s30, [r1, #.Lnn_at + 3 * %c[x_step]]\n"
        ".endif\n"
        NN_FMA16("s24", "s26", "s28", "s30", "s16", "s17", "s18", "s19")
        ".endif\n"
        ".set .Lnn_row, .Lnn_row + %c[row_step]\n"
        ".endr\n"
        NN_SMALL_STORE("s0", "s1", "s2", "s3")
        ".if %c[cols] == 4\n"
        "add r2, r2, #%c[y_step]\n"
        NN_SMALL_STORE("s4", "s5", "s6", "s7")
        "add r2, r2, #%c[y_step]\n"
        NN_SMALL_STORE("s8", "s9", "s10", "s11")
        "add r2, r2, #%c[y_step]\n"
        NN_SMALL_STORE("s12", "s13", "s14", "s15")
        ".endif\n"
        NN_LINES_256 NN_LINES_256
        : "+r"(r_bias), "+r"(r_x), "+r"(r_y)
        : [cols] "i"(cols), [rows] "i"(rows), [run] "i"(run), [row_step] "i"(row_step),
          [x_step] "i"(x_step), [y_step] "i"(y_step), [relu] "i"(relu)
        : "r4", "r5", "r6", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
          "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20",
          "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31");
}

#else

NN_INLINE void nn_block_f32_small(const float *bias, const float *x, float *y, int32_t cols,
                                  int32_t rows, int32_t run, int32_t row_step, int32_t x_step,
                                  int32_t y_step, int32_t relu)
{
    (void)bias;
    (void)x;
    (void)y;
    (void)cols;
    (void)rows;
    (void)run;
    (void)row_step;
    (void)x_step;
    (void)y_step;
    (void)relu;
}

NN_INLINE void nn_block_f32_run(const nn_block_f32 *p, const int32_t cols, const int32_t unroll,
                                const int32_t odd, const int32_t relu)
{
    (void)unroll;
    (void)odd;
    for (int32_t c = 0; c < cols; c++) {
        for (int32_t f = 0; f < 4; f++) {
            const float *x = p->x + c * p->x_step, *w = p->weights + f;
            float sum = p->bias[f];
            for (int32_t r = 0; r < p->rows; r++) {
                for (int32_t i = 0; i < p->run; i++) {
                    sum += *x++ * *w;
                    w += 4;
                }
                x += p->x_skip;
                w += p->w_skip;
            }
            p->y[c * p->y_step + f] = relu != 0 && !(sum > 0.0f) ? 0.0f : sum;
        }
    }
}

#endif

#if NN_FPU_BLOCKS
/* Whether a window is worth unrolling, and within reach of the offsets of VLDR and ADD. */
NN_INLINE int32_t nn_block_small(const nn_window *p)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t reach = (p->kernel_h - 1) * p->in_w * p->in_c + 3 * p->stride_w * p->in_c + run;
    return p->kernel_h * run <= 12 && reach <= 254 && p->out_c <= 1000;
}
#else
NN_INLINE int32_t nn_block_small(const nn_window *p)
{
    (void)p;
    return 0;
}
#endif

/* How many pairs of inputs of a run of that many floats to take at a time. */
NN_INLINE int32_t nn_block_unroll(int32_t run)
{
    return run / 2 % 2 == 0 && run >= 4 ? 2 : 1;
}

/* `clamp`: 0 none, 1 at 0 from below, 2 to lo..hi. */
NN_KERNEL void nn_conv2d_f32_blocked(const nn_window *p, int32_t clamp, float lo, float hi,
                                     const float *x, const float *stream, float *y)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t quad = 4 + 4 * p->kernel_h * run;
    const int32_t quads = (p->out_c + 3) / 4;
    /* Outputs from first to last see no padding at the sides. */
    const int32_t first = (p->pad_left + p->stride_w - 1) / p->stride_w;
    const int32_t inside = p->in_w + p->pad_left - p->kernel_w;
    const int32_t end = inside < 0 ? 0 : inside / p->stride_w + 1;
    const int32_t last = end < p->out_w ? end : p->out_w;

    for (int32_t row = 0; row < p->batch * p->out_h; row++) {
        const int32_t oh = row % p->out_h;
        const int32_t ih = oh * p->stride_h - p->pad_top;
        const int32_t kh = ih < 0 ? -ih : 0;
        const int32_t kh_end = p->in_h - ih < p->kernel_h ? p->in_h - ih : p->kernel_h;
        const float *const image = x + row / p->out_h * (p->in_h * p->in_w * p->in_c);
        nn_block_f32 b;
        b.rows = kh_end - kh;
        b.y_step = p->out_c;
        b.x_step = p->stride_w * p->in_c;
        for (int32_t q = 0; q < quads; q++) {
            const int32_t f = q == quads - 1 ? p->out_c - 4 : 4 * q;
            int32_t ow = 0;
            b.bias = stream + q * quad;
            while (ow < p->out_w) {
                const int32_t iw = ow * p->stride_w - p->pad_left;
                b.y = y + (row * p->out_w + ow) * p->out_c + f;
                if (nn_block_small(p) && ow >= first && ow < last && b.rows == p->kernel_h) {
                    const float *const from = image + (ih * p->in_w + iw) * p->in_c;
                    if (ow + 4 <= last) {
                        nn_block_f32_small(b.bias, from, b.y, 4, p->kernel_h, run,
                                           4 * p->in_w * p->in_c, 4 * p->stride_w * p->in_c,
                                           4 * p->out_c, clamp == 1);
                        ow += 4;
                    } else {
                        nn_block_f32_small(b.bias, from, b.y, 1, p->kernel_h, run,
                                           4 * p->in_w * p->in_c, 4 * p->stride_w * p->in_c,
                                           4 * p->out_c, clamp == 1);
                        ow++;
                    }
                    continue;
                }
                if (ow >= first && ow < last) {
                    b.run = run;
                    b.weights = b.bias + 4 + 4 * kh * run;
                    b.x = image + ((ih + kh) * p->in_w + iw) * p->in_c;
                    b.x_skip = p->in_w * p->in_c - run;
                    b.w_skip = 0;
                    if (ow + 4 <= last) {
                        nn_block_f32_run(&b, 4, nn_block_unroll(run), run & 1, clamp == 1);
                        ow += 4;
                        continue;
                    }
                    nn_block_f32_run(&b, 1, nn_block_unroll(run), run & 1, clamp == 1);
                } else {
                    const int32_t kw = iw < 0 ? -iw : 0;
                    const int32_t kw_end = p->in_w - iw < p->kernel_w ? p->in_w - iw : p->kernel_w;
                    b.run = (kw_end - kw) * p->in_c;
                    b.weights = b.bias + 4 + 4 * (kh * run + kw * p->in_c);
                    b.x = image + ((ih + kh) * p->in_w + iw + kw) * p->in_c;
                    b.x_skip = p->in_w * p->in_c - b.run;
                    b.w_skip = 4 * (run - b.run);
                    if ((b.run & 1) != 0) {
                        nn_block_f32_run(&b, 1, 1, 1, clamp == 1);
                    } else {
                        nn_block_f32_run(&b, 1, 1, 0, clamp == 1);
                    }
                }
                ow++;
            }
        }
        if (clamp == 2) {
            for (int32_t i = 0; i < p->out_w * p->out_c; i++) {
                float *const at = y + row * p->out_w * p->out_c + i;
                *at = nn_clamp_f32(*at, lo, hi);
            }
        }
    }
}

#endif
