// SPDX-License-Identifier: MIT
// Memory mode of qemu_plugin.c: what blocks fetch and access feeds the memory simulator, in order.
//
// What a block costs at zero wait states, and which of its instructions access data, is asked for
// when the block is translated: over one pipe go its address and size, over the other come the size
// of the whole block, an ms_cost, a count, and so many access_plans. QEMU tells the addresses. Where
// QEMU has cut a block short, its remaining parts follow under other addresses.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "memsim.c"

// The instruction at `at` accesses `count` units of `size` bytes.
typedef struct {
  uint32_t at, size, count, write;
} access_plan;

typedef struct {
  uint32_t bytes;
  ms_cost cost;
  uint32_t count;
  access_plan *accesses;  // by address of the instruction
} memory_plan;

static ms_sim *memory;  // NULL: not in memory mode
static int memory_ask = -1, memory_answer = -1;
static const memory_plan *memory_block;  // under way
static uint32_t memory_next;             // its next access
static uint32_t memory_start, memory_end;  // where it starts, and where what was executed last ends

// True when the simulator is there; the configuration file holds an ms_config.
static bool memory_open(const char *path, uint32_t buckets) {
  ms_config config;
  FILE *in = fopen(path, "rb");
  if (in == NULL) return false;
  const bool whole = fread(&config, sizeof config, 1, in) == 1;
  fclose(in);
  memory = whole ? ms_new(&config, buckets) : NULL;
  return memory != NULL;
}

// Whoever does not answer has given up, and says why elsewhere.
static void memory_read(void *into, size_t size) {
  for (uint8_t *p = into; size > 0;) {
    const ssize_t n = read(memory_answer, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
    p += n;
    size -= (size_t)n;
  }
}

static void memory_plan_block(memory_plan *plan, uint32_t address, uint32_t bytes) {
  const uint32_t question[2] = {address, bytes};
  if (write(memory_ask, question, sizeof question) != (ssize_t)sizeof question) _exit(1);
  memory_read(&plan->bytes, sizeof plan->bytes);
  memory_read(&plan->cost, sizeof plan->cost);
  memory_read(&plan->count, sizeof plan->count);
  plan->accesses = calloc(plan->count + 1u, sizeof *plan->accesses);
  if (plan->accesses == NULL) abort();
  memory_read(plan->accesses, plan->count * sizeof *plan->accesses);
}

static void memory_begin(const memory_plan *plan, uint32_t address, uint32_t bytes, unsigned bucket) {
  const bool rest = address == memory_end && memory_block != NULL &&
                    address - memory_start < memory_block->bytes;
  memory_end = address + bytes;
  if (rest) return;
  memory_block = plan;
  memory_next = 0;
  memory_start = address;
  set_bucket(memory, bucket);
  simulate_block(memory, address, plan->bytes, &plan->cost);
}

// QEMU shows an instruction that accesses several registers in parts; the first has the address.
static void memory_access(uint32_t at, uint32_t address) {
  const memory_plan *plan = memory_block;
  while (memory_next < plan->count && plan->accesses[memory_next].at < at) memory_next++;
  if (memory_next == plan->count || plan->accesses[memory_next].at != at) return;
  const access_plan *a = &plan->accesses[memory_next++];
  for (uint32_t k = 0; k < a->count; k++)
    simulate_access(memory, address + k * a->size, a->size, (int)a->write);
}

// "M bucket ..." with the fields of ms_totals in their order.
static void memory_write(FILE *out, uint32_t buckets) {
  for (uint32_t k = 0; k < buckets; k++) {
    const ms_totals *t = ms_result(memory, k);
    fprintf(out, "M %u %lld %lld %lld %lld %llu %llu %llu %llu %llu %llu %llu %llu\n", k,
            (long long)t->core, (long long)t->fetch, (long long)t->data, (long long)t->external,
            (unsigned long long)t->fetch_reads, (unsigned long long)t->data_reads,
            (unsigned long long)t->data_writes, (unsigned long long)t->fetch_misses,
            (unsigned long long)t->read_misses, (unsigned long long)t->write_misses,
            (unsigned long long)t->unaligned, (unsigned long long)t->reads);
  }
}
