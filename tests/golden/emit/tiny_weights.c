/* SPDX-License-Identifier: MIT */
/* The constants of tiny: 332 bytes.
 *
 * Define tiny_WEIGHTS_SECTION as an attribute to place them, for instance in external flash:
 *     -Dtiny_WEIGHTS_SECTION='__attribute__((section(".extflash")))'
 */
#include "tiny_weights.h"

#ifndef tiny_WEIGHTS_SECTION
#define tiny_WEIGHTS_SECTION
#endif

/* 12 bytes, layer 0 */
tiny_WEIGHTS_SECTION const int8_t tiny_l00_weights[12]
    __attribute__((aligned(4))) = {
    7, 3, 0, -4, -4, -9, -8, -9, -6, 6, 3, 8,
};

/* 16 bytes, layer 0 */
tiny_WEIGHTS_SECTION const int32_t tiny_l00_bias[4]
    __attribute__((aligned(4))) = {
    1, 21, 94, 46,
};

/* 16 bytes, layer 0, 1 */
tiny_WEIGHTS_SECTION const float tiny_l00_multiplier[4]
    __attribute__((aligned(4))) = {
    0x1.47ae14p-7f, 0x1.47ae14p-7f, 0x1.47ae14p-7f, 0x1.47ae14p-7f,
};

/* 16 bytes, layer 1 */
tiny_WEIGHTS_SECTION const int8_t tiny_l01_weights[16]
    __attribute__((aligned(4))) = {
    -1, 0, 5, 9, -9, -7, 6, 9, -5, -4, 7, -1, -4, 6, -5, -2,
};

/* 16 bytes, layer 1 */
tiny_WEIGHTS_SECTION const int32_t tiny_l01_bias[4]
    __attribute__((aligned(4))) = {
    29, 10, -82, -94,
};

/* 256 bytes, layer 3 */
tiny_WEIGHTS_SECTION const int8_t tiny_l03_table[256]
    __attribute__((aligned(4))) = {
    86, -62, -101, -52, -23, 80, -13, -105, -43, 25, 80, 58, 126, -80, 97, -114,
    14, -58, -77, 40, -50, 15, -62, -90, 63, -18, 45, 43, 113, -20, -72, 34,
    111, 119, 94, 46, -31, -28, -118, -81, -43, -40, 20, 2, 49, 100, 96, 70,
    122, -47, 104, 108, -71, -8, 17, 49, 51, -101, -6, -102, 117, -77, -14, 98,
    5, 46, -1, 89, 24, 36, -12, -24, 23, 4, 72, 23, -8, 92, -74, -16,
    -4, 100, -16, 29, -109, 84, -15, -1, -104, 49, 34, -42, 68, 5, -114, -73,
    -62, -103, 0, -119, 5, 51, 20, -12, -60, 101, -46, 85, -15, -30, 49, 121,
    73, 23, -101, 68, 73, -24, -36, -78, 123, -85, -2, -82, 73, 26, -88, -100,
    -104, -123, 91, 85, -31, -103, -57, -13, 9, -3, 30, 30, 32, 1, -14, 111,
    81, 64, -114, 19, 97, 30, -79, 1, 12, 118, 12, -70, -100, 48, 124, 14,
    -104, -118, 72, -53, -5, 109, -64, 72, -107, -125, -120, -53, -5, -126, 28, 83,
    1, -100, 82, -114, 2, 123, -36, -14, -64, -47, -67, -116, 61, -29, 127, -35,
    72, 6, 32, -127, 94, -91, 117, -75, 68, -16, 69, -51, -62, 29, -128, -55,
    44, 104, -9, 118, -54, -113, 46, -75, 121, 16, 118, 69, 48, -112, 86, -81,
    -106, -12, -100, 43, 122, 103, 109, 93, -66, 75, -64, -115, 69, 122, 79, 29,
    117, -106, -101, -63, -110, 30, -118, -30, 3, -14, 24, 77, 99, 82, 64, 11,
};
