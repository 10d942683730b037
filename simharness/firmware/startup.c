// SPDX-License-Identifier: MIT
// Reset: FPU on, .data copied, .bss and arena zeroed, then main. Made for any Cortex-M; no libc.
#include <stdint.h>

extern uint32_t sim_stack_top[], sim_data_load[], sim_data_start[], sim_data_end[];
extern uint32_t sim_rodata_load[], sim_rodata_start[], sim_rodata_end[];
extern uint32_t sim_bss_start[], sim_bss_end[], sim_arena_start[], sim_arena_end[];

void sim_reset(void);
void sim_fault(void);
void sim_tick(void) __attribute__((weak, alias("sim_fault")));
int main(void);

typedef void (*sim_vector)(void);

__attribute__((section(".vectors"), used)) const sim_vector sim_vectors[16] = {
    (sim_vector)(uintptr_t)sim_stack_top,
    sim_reset, sim_fault, sim_fault, sim_fault, sim_fault, sim_fault, sim_fault,
    sim_fault, sim_fault, sim_fault, sim_fault, sim_fault, sim_fault, sim_fault, sim_tick,
};

// Every exception ends here; an engine that sees this address reports a fault.
__attribute__((noinline, used)) void sim_fault(void) {
  for (;;) {
    __asm volatile("" ::: "memory");
  }
}

// The barriers keep the compiler from making library calls of these loops: no library is ready yet.
static void copy(uint32_t *to, const uint32_t *end, const uint32_t *from) {
  while (to != end) {
    *to++ = *from++;
    __asm volatile("" ::: "memory");
  }
}

static void zero(uint32_t *p, const uint32_t *end) {
  while (p != end) {
    *p++ = 0;
    __asm volatile("" ::: "memory");
  }
}

__attribute__((noreturn, used)) void sim_reset(void) {
#ifdef __ARM_FP
  // CPACR: full access to CP10 and CP11, before the first instruction that touches the FPU.
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm volatile("dsb\n\tisb" ::: "memory");
#endif
  if (sim_rodata_load != sim_rodata_start) copy(sim_rodata_start, sim_rodata_end, sim_rodata_load);
  copy(sim_data_start, sim_data_end, sim_data_load);
  zero(sim_bss_start, sim_bss_end);
  zero(sim_arena_start, sim_arena_end);
  (void)main();
  for (;;) {
    __asm volatile("" ::: "memory");
  }
}
