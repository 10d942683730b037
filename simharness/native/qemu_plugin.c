// SPDX-License-Identifier: MIT
// A TCG plugin that counts executed blocks and edges of one call, by layer.
//
// Arguments: out=FILE start=ADDR fault=ADDR budget=N layers=FILE (one hexadecimal address a line, in
// layer order). Counting begins when the function at `start` is called for the first time and ends
// when it returns. Bucket 0 is the run itself; bucket k+1 opens when layer k is entered from bucket 0
// and closes when the block after its call runs. An edge belongs to the bucket of its source.
//
// The result is text: "B bucket address bytes instructions count" and "E bucket source target
// count", in no particular order, and last what became of the run: "done", "unfinished",
// "fault bucket address" or "budget bucket address", where the address is of the last block before
// the one at `fault`, or of the one that used up the `budget` of instructions per call. The last two
// end the emulator at once.
//
// With memory=FILE ask=FD answer=FD the memories are simulated too: see qemu_memory.c.
//
// Debian ships no qemu-plugin.h, so the part of the ABI that is used is declared here by hand.
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu_memory.c"

#ifndef SIM_PLUGIN_VERSION
#define SIM_PLUGIN_VERSION 1
#endif
#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0, MEM_RW = 3, STOPPED = 57 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(
    uint64_t id, void (*callback)(uint64_t id, struct qemu_plugin_tb *tb));
extern void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *tb, void (*callback)(unsigned vcpu, void *data), int flags, void *data);
extern void qemu_plugin_register_vcpu_mem_cb(
    struct qemu_plugin_insn *insn,
    void (*callback)(unsigned vcpu, uint32_t info, uint64_t address, void *data), int flags,
    int access, void *data);
extern void qemu_plugin_register_atexit_cb(
    uint64_t id, void (*callback)(uint64_t id, void *data), void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = SIM_PLUGIN_VERSION;

struct edge {
  struct edge *next;
  struct block *target;
  uint64_t count;
};

struct tally {
  uint64_t count;
  struct edge *edges;
};

struct block {
  struct block *next;
  uint32_t address, bytes, instructions;
  unsigned layer;  // k + 1 when layer k starts here
  struct tally *by_bucket;
  memory_plan plan;  // in memory mode
};

enum { TABLE = 1 << 14 };
static struct block *table[TABLE];
static uint32_t *layers, n_layers;
static uint32_t start_address, stop_address, return_address;  // stop: where `start` returns to
static uint32_t fault_address;
static int64_t budget = INT64_MAX, left = INT64_MAX;
static const struct block *last;  // executed before this one, counted or not
static enum { WAITING, COUNTING, DONE } state;
static unsigned bucket, previous_bucket;
static struct block *previous;
static const char *out_path;

static void *allocate(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (p == NULL) abort();
  return p;
}

static struct block *block_of(uint32_t address, uint32_t bytes, uint32_t instructions) {
  struct block **slot = &table[(address >> 1) % TABLE];
  for (struct block *b = *slot; b != NULL; b = b->next) {
    if (b->address == address && b->bytes == bytes) return b;
  }
  struct block *b = allocate(1, sizeof *b);
  b->address = address;
  b->bytes = bytes;
  b->instructions = instructions;
  b->by_bucket = allocate(n_layers + 1, sizeof *b->by_bucket);
  for (unsigned k = 0; k < n_layers; k++) {
    if (layers[k] == address) b->layer = k + 1;
  }
  if (memory != NULL) memory_plan_block(&b->plan, address, bytes);
  b->next = *slot;
  *slot = b;
  return b;
}

static void count_edge(struct block *source, struct block *target) {
  struct edge **head = &source->by_bucket[previous_bucket].edges;
  for (struct edge *e = *head; e != NULL; e = e->next) {
    if (e->target == target) {
      e->count++;
      return;
    }
  }
  struct edge *e = allocate(1, sizeof *e);
  e->target = target;
  e->count = 1;
  e->next = *head;
  *head = e;
}

static void write_counts(const char *end, unsigned where, uint32_t address);

static void stop(const char *why, const struct block *at) {
  write_counts(why, bucket, at == NULL ? 0 : at->address);
  _exit(STOPPED);
}

static void executed(unsigned vcpu, void *data) {
  (void)vcpu;
  struct block *b = data;
  if (b->address == fault_address) stop("fault", last);
  if (b->address == start_address) left = budget;
  left -= b->instructions;
  if (left < 0) stop("budget", b);
  last = b;
  if (state == WAITING && b->address == start_address && previous != NULL) {
    state = COUNTING;
    stop_address = previous->address + previous->bytes;
    previous = NULL;
  }
  if (state == WAITING) previous = b;
  if (state != COUNTING) return;
  if (b->address == stop_address) {
    state = DONE;
    return;
  }
  if (bucket == 0 && b->layer != 0 && previous != NULL) {
    bucket = b->layer;
    return_address = previous->address + previous->bytes;
  } else if (bucket != 0 && b->address == return_address) {
    bucket = 0;
  }
  if (memory != NULL) memory_begin(&b->plan, b->address, b->bytes, bucket);
  b->by_bucket[bucket].count++;
  if (previous != NULL) count_edge(previous, b);
  previous = b;
  previous_bucket = bucket;
}

// Not qemu_plugin_insn_size: it counts a halfword that the translator peeked at behind a page's end.
static uint32_t size_of(const struct qemu_plugin_insn *insn) {
  uint16_t first;
  memcpy(&first, qemu_plugin_insn_data(insn), sizeof first);
  return first >= 0xE800u ? 4u : 2u;
}

static void accessed(unsigned vcpu, uint32_t info, uint64_t address, void *data) {
  (void)vcpu;
  (void)info;
  const access_plan *a = data;
  if (state == COUNTING) memory_access(a->at, (uint32_t)address);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(tb);
  uint32_t bytes = 0;
  for (size_t i = 0; i < n; i++) bytes += size_of(qemu_plugin_tb_get_insn(tb, i));
  struct block *b = block_of((uint32_t)qemu_plugin_tb_vaddr(tb), bytes, (uint32_t)n);
  for (uint32_t i = 0, k = 0, at = b->address; i < n && k < b->plan.count; i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    access_plan *a = &b->plan.accesses[k];
    if (a->at == at) {
      qemu_plugin_register_vcpu_mem_cb(insn, accessed, CB_NO_REGS, MEM_RW, a);
      k++;
    }
    at += size_of(insn);
  }
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CB_NO_REGS, b);
}

static void write_counts(const char *end, unsigned where, uint32_t address) {
  FILE *out = fopen(out_path, "w");
  if (out == NULL) return;
  for (unsigned i = 0; i < TABLE; i++) {
    for (const struct block *b = table[i]; b != NULL; b = b->next) {
      for (unsigned k = 0; k <= n_layers; k++) {
        const struct tally *t = &b->by_bucket[k];
        if (t->count != 0) {
          fprintf(out, "B %u %" PRIx32 " %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", k, b->address,
                  b->bytes, b->instructions, t->count);
        }
        for (const struct edge *e = t->edges; e != NULL; e = e->next) {
          fprintf(out, "E %u %" PRIx32 " %" PRIx32 " %" PRIu64 "\n", k, b->address,
                  e->target->address, e->count);
        }
      }
    }
  }
  if (memory != NULL) memory_write(out, n_layers + 1);
  fprintf(out, "%s %u %" PRIx32 "\n", end, where, address);
  fclose(out);
}

static void finished(uint64_t id, void *data) {
  (void)id;
  (void)data;
  write_counts(state == DONE ? "done" : "unfinished", 0, 0);
}

static bool read_layers(const char *path) {
  FILE *in = fopen(path, "r");
  if (in == NULL) return false;
  uint32_t address;
  size_t room = 16;
  layers = allocate(room, sizeof *layers);
  while (fscanf(in, "%" SCNx32, &address) == 1) {
    if (n_layers == room) {
      room *= 2;
      layers = realloc(layers, room * sizeof *layers);
      if (layers == NULL) abort();
    }
    layers[n_layers++] = address;
  }
  fclose(in);
  return true;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
  (void)info;
  const char *memory_path = NULL;
  for (int i = 0; i < argc; i++) {
    const char *value = strchr(argv[i], '=');
    if (value == NULL) return 1;
    value++;
    if (strncmp(argv[i], "out=", 4) == 0) out_path = strdup(value);
    if (strncmp(argv[i], "start=", 6) == 0) start_address = (uint32_t)strtoul(value, NULL, 16);
    if (strncmp(argv[i], "fault=", 6) == 0) fault_address = (uint32_t)strtoul(value, NULL, 16);
    if (strncmp(argv[i], "budget=", 7) == 0) budget = strtoll(value, NULL, 10);
    if (strncmp(argv[i], "layers=", 7) == 0 && !read_layers(value)) return 1;
    if (strncmp(argv[i], "memory=", 7) == 0) memory_path = value;
    if (strncmp(argv[i], "ask=", 4) == 0) memory_ask = atoi(value);
    if (strncmp(argv[i], "answer=", 7) == 0) memory_answer = atoi(value);
  }
  if (out_path == NULL || start_address == 0 || fault_address == 0 || layers == NULL) return 1;
  if (memory_path != NULL && !memory_open(memory_path, n_layers + 1)) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, finished, NULL);
  return 0;
}
