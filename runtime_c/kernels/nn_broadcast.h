/* SPDX-License-Identifier: MIT
 *
 * How two inputs meet in an output of rank at most 4, as numpy broadcasts: a step is how many elements an
 * input advances per index of that axis, 0 where it repeats. The generator merges axes, so that the last
 * one is long.
 */
#ifndef NN_BROADCAST_H
#define NN_BROADCAST_H

#include "nn_common.h"

typedef struct {
    int32_t size[4];
    int32_t a_step[4];
    int32_t b_step[4];
} nn_broadcast;

#endif
