// SPDX-License-Identifier: MIT
// The four functions that a freestanding compiler may call; words where both sides are aligned.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Word access to bytes of any type.
typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  uint8_t *d = to;
  const uint8_t *s = from;
  if ((((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0) {
    for (; n > 0 && ((uintptr_t)d & 3u) != 0; n--) *d++ = *s++;
    for (; n >= 16; n -= 16, d += 16, s += 16) {
      const word a = ((const word *)(const void *)s)[0], b = ((const word *)(const void *)s)[1];
      const word c = ((const word *)(const void *)s)[2], e = ((const word *)(const void *)s)[3];
      ((word *)(void *)d)[0] = a;
      ((word *)(void *)d)[1] = b;
      ((word *)(void *)d)[2] = c;
      ((word *)(void *)d)[3] = e;
    }
    for (; n >= 4; n -= 4, d += 4, s += 4) *(word *)(void *)d = *(const word *)(const void *)s;
  }
  for (; n > 0; n--) *d++ = *s++;
  return to;
}

void *memmove(void *to, const void *from, size_t n) {
  uint8_t *d = to;
  const uint8_t *s = from;
  if ((uintptr_t)d - (uintptr_t)s >= n) return memcpy(to, from, n);
  while (n > 0) {
    n--;
    d[n] = s[n];
  }
  return to;
}

void *memset(void *to, int value, size_t n) {
  uint8_t *d = to;
  const uint8_t byte = (uint8_t)value;
  const word four = byte * 0x01010101u;
  for (; n > 0 && ((uintptr_t)d & 3u) != 0; n--) *d++ = byte;
  for (; n >= 16; n -= 16, d += 16) {
    ((word *)(void *)d)[0] = four;
    ((word *)(void *)d)[1] = four;
    ((word *)(void *)d)[2] = four;
    ((word *)(void *)d)[3] = four;
  }
  for (; n >= 4; n -= 4, d += 4) *(word *)(void *)d = four;
  for (; n > 0; n--) *d++ = byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t n) {
  const uint8_t *x = a;
  const uint8_t *y = b;
  for (; n > 0; n--, x++, y++) {
    if (*x != *y) return (int)*x - (int)*y;
  }
  return 0;
}
