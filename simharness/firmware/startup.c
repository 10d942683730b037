// SPDX-License-Identifier: MIT
// Reset: FPU on, what lies in RAM copied or zeroed, then main. Made for any Cortex-M; no libc.
// All of it runs where the core boots from, because the rest may have to be copied first.
#include <stdint.h>

extern uint32_t sim_stack_top[];

// The linker script's lists.
struct copy { uint32_t *from, *to, *end; };
struct zero { uint32_t *from, *end; };
extern const struct copy sim_copies[], sim_copies_end[];
extern const struct zero sim_zeros[], sim_zeros_end[];

#define BOOT __attribute__((section(".boot"), noinline, used))

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
BOOT void sim_fault(void) {
  for (;;) {
    __asm volatile("" ::: "memory");
  }
}

// The barriers keep the compiler from making library calls of these loops: no library is ready yet.
BOOT static void copy(uint32_t *to, const uint32_t *end, const uint32_t *from) {
  while (to != end) {
    *to++ = *from++;
    __asm volatile("" ::: "memory");
  }
}

BOOT static void zero(uint32_t *p, const uint32_t *end) {
  while (p != end) {
    *p++ = 0;
    __asm volatile("" ::: "memory");
  }
}

__attribute__((noreturn)) BOOT void sim_reset(void) {
#ifdef __ARM_FP
  // CPACR: full access to CP10 and CP11, before the first instruction that touches the FPU.
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm volatile("dsb\n\tisb" ::: "memory");
#endif
  for (const struct copy *c = sim_copies; c != sim_copies_end; c++) copy(c->to, c->end, c->from);
  for (const struct zero *z = sim_zeros; z != sim_zeros_end; z++) zero(z->from, z->end);
  // Copied code must be fetched, not what was there before.
  __asm volatile("dsb\n\tisb" ::: "memory");
  (void)main();
  for (;;) {
    __asm volatile("" ::: "memory");
  }
}
