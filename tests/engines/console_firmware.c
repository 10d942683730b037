// SPDX-License-Identifier: MIT
// A firmware for STM32G0B1 that waits for its clock and for SysTick, then answers commands on USART2,
// bytes taken by interrupt. "go%" computes for a while between two reads of TIM2, which it prints.
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define RCC_CR REG(0x40021000)
#define RCC_CFGR REG(0x40021008)
#define USART_CR1 REG(0x40004400)
#define USART_ISR REG(0x4000441C)
#define USART_RDR REG(0x40004424)
#define USART_TDR REG(0x40004428)
#define TIM2_CNT REG(0x40000024)
#define NVIC_ISER REG(0xE000E100)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)

extern uint32_t stack_top;
static volatile char line[32];
static volatile uint32_t length;
static volatile uint32_t sum;
static volatile uint32_t ticks;

static void put(char c) {
  while (!(USART_ISR & (1u << 7))) {}
  USART_TDR = (uint32_t)c;
}

__attribute__((noinline)) void say(const char *text) {
  while (*text) put(*text++);
}

static void number(uint32_t value) {
  for (int shift = 28; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15u]);
}

__attribute__((noinline)) void work(void) {
  for (uint32_t i = 0; i < 1000; i++) sum += i;
}

void usart2(void) {
  const char c = (char)USART_RDR;
  if (length < sizeof line) line[length++] = c;
}

void systick(void) { ticks++; }

void reset(void) {
  RCC_CR |= 1u << 24;
  while (!(RCC_CR & (1u << 25))) {}
  RCC_CFGR |= 2u;
  while (((RCC_CFGR >> 3) & 7u) != 2u) {}
  ticks = length = 0;
  SYST_RVR = 6400 - 1;
  SYST_CSR = 7;
  while (ticks < 20) {}  // two milliseconds at 64 MHz
  SYST_CSR = 0;
  USART_CR1 = 0x2D;
  NVIC_ISER = 1u << 28;
  say("m-ready\r\n");
  for (;;) {
    if (length == 0 || line[length - 1] != '%') continue;
    if (line[0] == 'g') {
      const uint32_t from = TIM2_CNT;
      say("lap-");
      number(from);
      work();
      const uint32_t to = TIM2_CNT;
      say("lap-");
      number(to);
      say("done\r\n");
    }
    length = 0;
    say("m-ready\r\n");
  }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[64] = {
    [0] = &stack_top, [1] = (void *)reset, [15] = (void *)systick, [16 + 28] = (void *)usart2};
