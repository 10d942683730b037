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

/* A statement for each element of the output, in order, with the places `i` and `j` of the inputs' elements. */
#define NN_BROADCAST(p, i, j, statement)                                                               \
    for (int32_t i0 = 0; i0 < (p)->size[0]; i0++) {                                                    \
        for (int32_t i1 = 0; i1 < (p)->size[1]; i1++) {                                                \
            for (int32_t i2 = 0; i2 < (p)->size[2]; i2++) {                                            \
                int32_t i = i0 * (p)->a_step[0] + i1 * (p)->a_step[1] + i2 * (p)->a_step[2];           \
                int32_t j = i0 * (p)->b_step[0] + i1 * (p)->b_step[1] + i2 * (p)->b_step[2];           \
                for (int32_t left = (p)->size[3]; left > 0; left--) {                                  \
                    statement;                                                                         \
                    i += (p)->a_step[3];                                                               \
                    j += (p)->b_step[3];                                                               \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }

#endif
