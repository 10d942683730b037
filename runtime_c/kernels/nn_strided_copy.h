/* SPDX-License-Identifier: MIT
 *
 * Transposition and slicing: y is dense, x is read at steps. The generator gives the shape of y, merged
 * where it can and padded with ones in front to rank 6, and how many elements x advances per index of each
 * axis of y (negative for a reversed axis), from element `first` on. Elements are int8 or float32.
 */
#ifndef NN_STRIDED_COPY_H
#define NN_STRIDED_COPY_H

#include "nn_common.h"

typedef struct {
    int32_t size[6];
    int32_t step[6];
    int32_t first;
} nn_strided;

NN_KERNEL void nn_strided_copy(int32_t item_bytes, const nn_strided *p, const void *restrict x,
                               void *restrict y)
{
    int8_t *y_s8 = (int8_t *)y;
    float *y_f32 = (float *)y;

    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                for (int32_t l = 0; l < p->size[3]; l++) {
                    for (int32_t m = 0; m < p->size[4]; m++) {
                        const int32_t row = p->first + i * p->step[0] + j * p->step[1] +
                                            k * p->step[2] + l * p->step[3] + m * p->step[4];
                        for (int32_t n = 0; n < p->size[5]; n++) {
                            const int32_t at = row + n * p->step[5];
                            if (item_bytes == 1) {
                                *y_s8++ = ((const int8_t *)x)[at];
                            } else {
                                *y_f32++ = ((const float *)x)[at];
                            }
                        }
                    }
                }
            }
        }
    }
}

#endif
