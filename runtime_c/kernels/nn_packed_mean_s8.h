/* SPDX-License-Identifier: MIT
 *
 * The mean of `count` pixels on int8, as ONNX Runtime's ReduceMean over a file's last axes in float32 between
 * dequantization and quantization. x[N,rows,count,C], y[N,rows,C]. In the file's layout the elements of a
 * channel lie side by side, and their sum starts at a multiple of four: two registers of four lanes take
 * turns there, and what is before and behind them is added last.
 */
#ifndef NN_PACKED_MEAN_S8_H
#define NN_PACKED_MEAN_S8_H

#include "nn_common.h"

typedef struct {
    float in_scale, out_scale;
    int32_t in_zp, out_zp;
    int32_t lo, hi;
} nn_packed_mean;

NN_INLINE float nn_packed_sum(const int8_t *x, int32_t count, int32_t head, int32_t step,
                              const nn_packed_mean *q)
{
    const int32_t packs = (count - head) / 4;
    const int32_t paired = head + packs / 2 * 8;
    const int32_t tail = head + packs * 4;
    float lanes[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    float sum;
    for (int32_t i = head; i < paired; i++) {
        lanes[(i - head) & 7] += (float)(x[i * step] - q->in_zp) * q->in_scale;
    }
    for (int32_t i = 0; i < 4; i++) {
        lanes[i] += lanes[i + 4];
    }
    for (int32_t i = paired; i < tail; i++) {
        lanes[i - paired] += (float)(x[i * step] - q->in_zp) * q->in_scale;
    }
    sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
    for (int32_t i = 0; i < head; i++) {
        sum += (float)(x[i * step] - q->in_zp) * q->in_scale;
    }
    for (int32_t i = tail; i < count; i++) {
        sum += (float)(x[i * step] - q->in_zp) * q->in_scale;
    }
    return sum;
}

NN_KERNEL void nn_packed_mean_s8(int32_t batch, int32_t rows, int32_t count, int32_t channels,
                                 const nn_packed_mean *q, const int8_t *restrict x,
                                 int8_t *restrict y)
{
    for (int32_t n = 0; n < batch; n++) {
        for (int32_t row = 0; row < rows; row++) {
            for (int32_t c = 0; c < channels; c++) {
                const int32_t before = ((n * channels + c) * rows + row) & 3;
                const int32_t head = (4 - (before * count & 3)) & 3;
                const float sum =
                    nn_packed_sum(x + c, count, head < count ? head : count, channels, q);
                *y++ = nn_quantize_s8(sum / (float)count / q->out_scale, q->out_zp, q->lo, q->hi);
            }
            x += count * channels;
        }
    }
}

#endif
