/* SPDX-License-Identifier: MIT
 *
 * y = a + b on int8 arrays of one size, for cores without the DSP extension, in the integer form of
 * nn_add_s8_dsp.h without its shifts: y = clamp((offset + a_factor * a + b_factor * b) >> shift, lo, hi).
 * y may be a or b.
 */
#ifndef NN_ADD_S8_V6M_H
#define NN_ADD_S8_V6M_H

#include "nn_common.h"

NN_KERNEL void nn_add_s8_v6m(int32_t count, int32_t a_factor, int32_t b_factor, int32_t offset,
                             int32_t shift, int32_t lo, int32_t hi, const int8_t *a,
                             const int8_t *b, int8_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t sum = offset + b[i] * b_factor + a[i] * a_factor;
        y[i] = (int8_t)nn_clamp_s32(sum >> shift, lo, hi);
    }
}

#endif
