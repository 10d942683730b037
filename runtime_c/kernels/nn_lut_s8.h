/* SPDX-License-Identifier: MIT
 *
 * Any function of one int8, by table: y[i] = table[x[i] + 128]. x and y may be the same array.
 */
#ifndef NN_LUT_S8_H
#define NN_LUT_S8_H

#include "nn_common.h"

NN_KERNEL void nn_lut_s8(int32_t count, const int8_t *restrict table, const int8_t *x, int8_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = table[x[i] + 128];
    }
}

#endif
