/* SPDX-License-Identifier: MIT */
/* The constants of tiny: 332 bytes. */
#ifndef tiny_WEIGHTS_H
#define tiny_WEIGHTS_H

#include <stdint.h>

extern const int8_t tiny_l00_weights[12];
extern const int32_t tiny_l00_bias[4];
extern const float tiny_l00_multiplier[4];
extern const int8_t tiny_l01_weights[16];
extern const int32_t tiny_l01_bias[4];
extern const int8_t tiny_l03_table[256];

#endif
