/* SPDX-License-Identifier: MIT
 *
 * nn_dot_s8_dsp.h's dot products as functions that all layers of a program share, taking what differs
 * between them at run time: smaller code for one or two instructions more per output.
 */
#ifndef NN_DOT_S8_DSP_JOBS_H
#define NN_DOT_S8_DSP_JOBS_H

#include "nn_dot_s8_dsp_sums.h"

#if NN_DSP_JOBS

/* What the shared function needs that differs between layers; the order is the assembly's. */
typedef struct {
    const uint32_t *stream;
    const uint32_t *x;
    int8_t *y;
    const int8_t *y_end;
    const uint32_t *x_end;
    int32_t out_c, shift, even;
    int32_t out_zp, lo, hi;
    int32_t pitch;
} nn_dot_job;

#define NN_DOT_JOB_CLAMP(acc)    \
    "cmp " acc ", r10\n"         \
    "it lt\n"                    \
    "movlt " acc ", r10\n"       \
    "cmp " acc ", r11\n"         \
    "it gt\n"                    \
    "movgt " acc ", r11\n"

#define NN_DOT_JOB_SCALE0(acc) "smmla " acc ", " acc ", r8, r9\n"
#define NN_DOT_JOB_SCALE1(acc) "smmla " acc ", " acc ", r10, r11\n"
#define NN_DOT_JOB_SHIFT(acc) "asr " acc ", " acc ", r9\n"
#define NN_DOT_JOB_SATURATE(acc) "ssat " acc ", #8, " acc "\n"
#define NN_DOT_JOB_FLOAT(acc, scale, bias)      \
    NN_ROUND(acc, "s11", scale, bias)       \
    "add " acc ", " acc ", r10\n"
#define NN_DOT_JOB_FLOAT0(acc) NN_DOT_JOB_FLOAT(acc, "s9", "r11")
#define NN_DOT_JOB_FLOAT1(acc) NN_DOT_JOB_FLOAT(acc, "s10", "r8")

/* All groups, two at a time, until r1 is the end in s3; s6 tells whether their number is even. Those that
   load ahead (two groups at least) keep one or two for the end. */
#if defined(NN_DUAL_ISSUE)
#define NN_DOT_JOB_LEAST 2
#define NN_DOT_JOB_SUMS          \
    NN_DOT_FIRST                 \
    "2:\n"                       \
    "vmov r10, s3\n"             \
    "cmp r1, r10\n"              \
    "beq 3f\n"                   \
    NN_DOT_NEXT                  \
    NN_DOT_NEXT                  \
    "b 2b\n"                     \
    "3:\n"                       \
    "vmov r10, s6\n"             \
    "cmp r10, #0\n"              \
    "bne 7f\n"                   \
    NN_DOT_NEXT                  \
    "7:\n"                       \
    NN_DOT_LAST
#else
#define NN_DOT_JOB_LEAST 1
#define NN_DOT_JOB_SUMS          \
    NN_DOT_FIRST                 \
    "vmov r10, s6\n"             \
    "cmp r10, #0\n"              \
    "beq 2f\n"                   \
    NN_DOT_NEXT                  \
    "2:\n"                       \
    "vmov r10, s3\n"             \
    "cmp r1, r10\n"              \
    "beq 3f\n"                   \
    NN_DOT_NEXT                  \
    NN_DOT_NEXT                  \
    "b 2b\n"                     \
    "3:\n"
#endif

/* Columns that alternate in memory. s0..s7 hold x, y, y_end, x_end, out_c, shift, even, job. */
NN_INLINE const uint32_t *nn_dot_job_run(nn_dot_job *job, const int32_t cols, const int32_t clamped)
{
    register nn_dot_job *r_job __asm__("r0") = job;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "add r1, r0, #4\n"
        "vmov s7, r0\n"
        "vldm r1, {s0-s6}\n"
        "ldrd r0, r1, [r0]\n"
        NN_DOT_BASE
        "vmov s0, r1\n"
        "1:\n"
        NN_DOT_JOB_SUMS
        NN_DOT_CONSTANTS
        "vmov r12, lr, s1, s2\n"
        "vmov r1, s0\n"
        "cmp r8, #0\n"
        "beq 4f\n"
        NN_DOT_EACH(NN_DOT_JOB_SCALE0, NN_DOT_JOB_SCALE1)
        "vmov r8, r9, s4, s5\n"
        NN_DOT_EACH(NN_DOT_JOB_SHIFT, NN_DOT_JOB_SHIFT)
        "5:\n"
        ".if %c[clamped]\n"
        "vmov r10, s7\n"
        "ldrd r10, r11, [r10, #36]\n"
        NN_DOT_EACH(NN_DOT_JOB_CLAMP, NN_DOT_JOB_CLAMP)
        ".else\n"
        NN_DOT_EACH(NN_DOT_JOB_SATURATE, NN_DOT_JOB_SATURATE)
        ".endif\n"
        ".if %c[cols] >= 2\n"
        "add r9, r12, r8\n"
        ".if %c[cols] == 3\n"
        "strb r3, [r9]\n"
        "strb r6, [r9, #1]\n"
        "add r9, r9, r8\n"
        ".endif\n"
        "strb r4, [r9]\n"
        "strb r7, [r9, #1]\n"
        ".endif\n"
        ".if %c[cols] == 3\n"
        "strb r5, [r12, #1]\n"
        "strb r2, [r12], #2\n"
        ".else\n"
        "strb r6, [r12, #1]\n"
        "strb r3, [r12], #2\n"
        ".endif\n"
        "cmp r12, lr\n"
        "vmov s1, r12\n"
        "bne 1b\n"
        "b 6f\n"
        "4:\n"
        "ldr r8, [r0], #4\n"
        "vmov s9, s10, r9, r10\n"
        "vmov r10, s7\n"
        "ldr r10, [r10, #32]\n"
        NN_DOT_EACH(NN_DOT_JOB_FLOAT0, NN_DOT_JOB_FLOAT1)
        "vmov r8, s4\n"
        "b 5b\n"
        "6:\n"
        "pop {r4-r11, lr}\n"
        : "+r"(r_job)
        : [cols] "i"(cols), [pitch] "i"(8), [step] "i"(8 * cols), [clamped] "i"(clamped)
        : "r1", "r2", "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
          "s9", "s10", "s11");
    return (const uint32_t *)(const void *)r_job; /* r0: the end of the stream */
}

/* Two columns any number of bytes apart, which are one where that is 0. s8 holds this pitch. */
NN_INLINE const uint32_t *nn_dot_pair_run(nn_dot_job *job, const int32_t clamped)
{
    register nn_dot_job *r_job __asm__("r0") = job;
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11, lr}\n"
        "add r1, r0, #4\n"
        "vmov s7, r0\n"
        "vldm r1, {s0-s5}\n"
        "vldr s8, [r0, #44]\n"
        "ldr r0, [r0]\n"
        "1:\n"
        "vmov r1, s0\n"
        "vmov r12, s8\n"
        "vmov lr, s3\n"
        "add r12, r12, r1\n"
        "ldrd r2, r4, [r0], #8\n"
        "mov r3, r2\n"
        "mov r5, r4\n"
        "2:\n"
        "ldrd r6, r7, [r0], #8\n"
        "ldrd r10, r11, [r1], #8\n"
        "sxtb16 r8, r6\n"
        "smlad r2, r6, r10, r2\n"
        "sxtb16 r9, r7\n"
        "smlad r4, r7, r10, r4\n"
        "smlad r2, r8, r11, r2\n"
        "smlad r4, r9, r11, r4\n"
        "ldrd r10, r11, [r12], #8\n"
        "cmp r1, lr\n"
        "smlad r3, r6, r10, r3\n"
        "smlad r5, r7, r10, r5\n"
        "smlad r3, r8, r11, r3\n"
        "smlad r5, r9, r11, r5\n"
        "bne 2b\n"
        "ldm r0!, {r6, r7, r8, r9}\n"
        "vmov r12, lr, s1, s2\n"
        "cmp r6, #0\n"
        "beq 4f\n"
        "smmla r2, r2, r6, r7\n"
        "smmla r3, r3, r6, r7\n"
        "smmla r4, r4, r8, r9\n"
        "smmla r5, r5, r8, r9\n"
        "vmov r6, r7, s4, s5\n"
        "asr r2, r2, r7\n"
        "asr r3, r3, r7\n"
        "asr r4, r4, r7\n"
        "asr r5, r5, r7\n"
        "5:\n"
        ".if %c[clamped]\n"
        "vmov r10, s7\n"
        "ldrd r10, r11, [r10, #36]\n"
        NN_DOT_JOB_CLAMP("r2")
        NN_DOT_JOB_CLAMP("r3")
        NN_DOT_JOB_CLAMP("r4")
        NN_DOT_JOB_CLAMP("r5")
        ".else\n"
        "ssat r2, #8, r2\n"
        "ssat r3, #8, r3\n"
        "ssat r4, #8, r4\n"
        "ssat r5, #8, r5\n"
        ".endif\n"
        "add r7, r12, r6\n"
        "strb r3, [r7]\n"
        "strb r5, [r7, #1]\n"
        "strb r4, [r12, #1]\n"
        "strb r2, [r12], #2\n"
        "cmp r12, lr\n"
        "vmov s1, r12\n"
        "bne 1b\n"
        "b 6f\n"
        "4:\n"
        "ldr r6, [r0], #4\n"
        "vmov s9, s10, r7, r8\n"
        "vmov r10, s7\n"
        "ldr r10, [r10, #32]\n"
        NN_DOT_JOB_FLOAT("r2", "s9", "r9")
        NN_DOT_JOB_FLOAT("r3", "s9", "r9")
        NN_DOT_JOB_FLOAT("r4", "s10", "r6")
        NN_DOT_JOB_FLOAT("r5", "s10", "r6")
        "vmov r6, s4\n"
        "b 5b\n"
        "6:\n"
        "pop {r4-r11, lr}\n"
        : "+r"(r_job)
        : [clamped] "i"(clamped)
        : "r1", "r2", "r3", "r12", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s7", "s8",
          "s9", "s10", "s11");
    return (const uint32_t *)(const void *)r_job;
}

#define NN_DOT_JOB(name, cols, clamped)                          \
    NN_RARE const uint32_t *name(nn_dot_job *job)                \
    {                                                            \
        return nn_dot_job_run(job, cols, clamped);               \
    }
NN_DOT_JOB(nn_dot_job3, 3, 0)
NN_DOT_JOB(nn_dot_job2, 2, 0)
NN_DOT_JOB(nn_dot_job1, 1, 0)
NN_DOT_JOB(nn_dot_job3_clamped, 3, 1)
NN_DOT_JOB(nn_dot_job2_clamped, 2, 1)
NN_DOT_JOB(nn_dot_job1_clamped, 1, 1)

NN_RARE const uint32_t *nn_dot_pair(nn_dot_job *job)
{
    return nn_dot_pair_run(job, 0);
}

NN_RARE const uint32_t *nn_dot_pair_clamped(nn_dot_job *job)
{
    return nn_dot_pair_run(job, 1);
}

/* Whether columns alternate group by group; else each is one run, for which there are pairs. */
NN_INLINE int32_t nn_dot_alternate(int32_t cols, int32_t pitch, int32_t step)
{
    return pitch == 8 && step == 8 * cols && (NN_DSP_BLOCKS || cols > 1);
}

/* Whether a shared function does this. */
NN_INLINE int32_t nn_dot_is_shared(int32_t cols, int32_t groups, int32_t pitch, int32_t step)
{
    return nn_dot_alternate(cols, pitch, step) ? groups >= NN_DOT_JOB_LEAST : !NN_DSP_BLOCKS;
}

NN_INLINE const uint32_t *nn_dot_shared(const uint32_t *stream, const uint32_t *x, int8_t *y,
                                        const int8_t *y_end, int32_t cols, int32_t groups,
                                        int32_t pitch, int32_t step, int32_t out_c, int32_t shift,
                                        int32_t out_zp, int32_t lo, int32_t hi)
{
    const int32_t clamped = lo > -128 || hi < 127;
    nn_dot_job job;
    job.stream = stream;
    job.x = x;
    job.y = y;
    job.y_end = y_end;
    job.out_c = cols == 1 ? 0 : out_c;
    job.shift = shift;
    job.even = (groups & 1) == 0;
    job.out_zp = out_zp;
    job.lo = lo;
    job.hi = hi;
    if (nn_dot_alternate(cols, pitch, step)) {
#if defined(NN_DUAL_ISSUE)
        const int32_t from = cols == 3 ? -2 - 2 * cols : 0;
        const int32_t last = job.even ? 1 : 2;
#else
        const int32_t from = 0, last = 0;
#endif
        job.x_end = x + from + 2 * cols * (groups - last);
        if (clamped) {
            return cols == 3   ? nn_dot_job3_clamped(&job)
                   : cols == 2 ? nn_dot_job2_clamped(&job)
                               : nn_dot_job1_clamped(&job);
        }
        return cols == 3 ? nn_dot_job3(&job) : cols == 2 ? nn_dot_job2(&job) : nn_dot_job1(&job);
    }
    job.x_end = x + 2 * groups;
    job.pitch = cols == 1 ? 0 : pitch;
    return clamped ? nn_dot_pair_clamped(&job) : nn_dot_pair(&job);
}

#endif

#endif
