/* SPDX-License-Identifier: MIT
 *
 * Nearest-neighbour resizing of x[N,H,W,C]: rows[Ho] and cols[Wo] hold the source index of each output row
 * and column; a pixel is `pixel_bytes` long.
 */
#ifndef NN_RESIZE_H
#define NN_RESIZE_H

#include "nn_common.h"

NN_KERNEL void nn_resize(int32_t batch, int32_t in_h, int32_t in_w, int32_t pixel_bytes,
                         int32_t out_h, int32_t out_w, const int32_t *restrict rows,
                         const int32_t *restrict cols, const void *restrict x, void *restrict y)
{
    uint8_t *target = (uint8_t *)y;

    for (int32_t n = 0; n < batch; n++) {
        for (int32_t oh = 0; oh < out_h; oh++) {
            for (int32_t ow = 0; ow < out_w; ow++) {
                const int32_t at = (n * in_h + rows[oh]) * in_w + cols[ow];
                const uint8_t *const pixel = (const uint8_t *)x + at * pixel_bytes;
                for (int32_t i = 0; i < pixel_bytes; i++) {
                    *target++ = pixel[i];
                }
            }
        }
    }
}

#endif
