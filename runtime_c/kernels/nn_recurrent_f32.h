/* SPDX-License-Identifier: MIT
 *
 * What recurrent layers share.
 */
#ifndef NN_RECURRENT_F32_H
#define NN_RECURRENT_F32_H

#include "nn_math_f32.h"

/* The product of row `row` of r[.][units] and a state. */
NN_PART float nn_recurrent_sum(int32_t units, int32_t row, const float *r, const float *state)
{
    float sum = 0.0f;
    r += row * units;
    for (int32_t k = 0; k < units; k++) {
        sum += r[k] * state[k];
    }
    return sum;
}

#endif
