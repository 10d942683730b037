// SPDX-License-Identifier: MIT
// Calls sim_invoke once and counts its cycles: with DWT CYCCNT where there is one, and with SysTick,
// whose 24 bits are not enough for an inference, so that its overflows are counted too.
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)

// CYCCNT cycles, SysTick overflows, SysTick before (it counts down) and after.
volatile uint32_t sim_counts[4];
static volatile uint32_t overflows;

int sim_invoke(void);
int sim_measure(void);
void sim_tick(void);

__attribute__((used)) void sim_tick(void) { overflows = overflows + 1; }

__attribute__((noinline, used)) int sim_measure(void) {
  SYST_RVR = 0xFFFFFFu;
  SYST_CVR = 0;
  SYST_CSR = 7;  // on, with interrupt, from the core clock
  for (int i = 0; i < 1000 && SYST_CVR == 0; i++) {
  }
  overflows = 0;
#ifndef __ARM_ARCH_6M__
  DEMCR |= 1u << 24;
  DWT_CTRL |= 1;
  const uint32_t cycles_before = DWT_CYCCNT;
#endif
  const uint32_t ticks_before = SYST_CVR;
  const int status = sim_invoke();
  uint32_t ticks, overflown;
  do {
    overflown = overflows;
    ticks = SYST_CVR;
  } while (overflown != overflows);
#ifndef __ARM_ARCH_6M__
  sim_counts[0] = DWT_CYCCNT - cycles_before;
#endif
  SYST_CSR = 0;
  sim_counts[1] = overflown;
  sim_counts[2] = ticks_before;
  sim_counts[3] = ticks;
  return status;
}
