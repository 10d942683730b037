/* SPDX-License-Identifier: MIT
 *
 * Padding of up to 4 axes with a value, the edge, or a reflection about it. Negative padding crops.
 * Elements are int8 or float32; `value` is the float32 or the int8 integer to fill with.
 */
#ifndef NN_PAD_H
#define NN_PAD_H

#include "nn_common.h"

enum { NN_PAD_CONSTANT = 0, NN_PAD_REFLECT = 1, NN_PAD_EDGE = 2 };

typedef struct {
    int32_t x_size[4];
    int32_t y_size[4];
    int32_t before[4];
} nn_pads;

/* The index of x that index `i` of y shows on this axis, -1 for none. */
NN_INLINE int32_t nn_pad_source(const nn_pads *p, int32_t mode, int32_t axis, int32_t i)
{
    const int32_t last = p->x_size[axis] - 1;
    const int32_t at = i - p->before[axis];

    if (at >= 0 && at <= last) {
        return at;
    }
    if (mode == NN_PAD_EDGE) {
        return at < 0 ? 0 : last;
    }
    if (mode == NN_PAD_REFLECT) {
        return at < 0 ? -at : 2 * last - at;
    }
    return -1;
}

NN_KERNEL void nn_pad(int32_t item_bytes, const nn_pads *p, int32_t mode, float value,
                      const void *restrict x, void *restrict y)
{
    int8_t *y_s8 = (int8_t *)y;
    float *y_f32 = (float *)y;

    for (int32_t i = 0; i < p->y_size[0]; i++) {
        const int32_t xi = nn_pad_source(p, mode, 0, i);
        for (int32_t j = 0; j < p->y_size[1]; j++) {
            const int32_t xj = nn_pad_source(p, mode, 1, j);
            for (int32_t k = 0; k < p->y_size[2]; k++) {
                const int32_t xk = nn_pad_source(p, mode, 2, k);
                const int32_t row = ((xi * p->x_size[1] + xj) * p->x_size[2] + xk) * p->x_size[3];
                for (int32_t l = 0; l < p->y_size[3]; l++) {
                    const int32_t xl = nn_pad_source(p, mode, 3, l);
                    const int32_t inside = (xi >= 0 && xj >= 0 && xk >= 0 && xl >= 0);
                    if (item_bytes == 1) {
                        *y_s8++ = inside ? ((const int8_t *)x)[row + xl] : (int8_t)value;
                    } else {
                        *y_f32++ = inside ? ((const float *)x)[row + xl] : value;
                    }
                }
            }
        }
    }
}

#endif
