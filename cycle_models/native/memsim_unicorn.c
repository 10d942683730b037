// SPDX-License-Identifier: MIT
// Feeds the memory simulator from Unicorn's block and memory hooks.
//
// Unicorn's functions arrive as pointers, so this links to nothing. What a block costs at zero wait
// states is asked once per block through a callback and kept in a hash table.
#include "memsim.c"

typedef void uc_engine;
typedef int (*ms_reg_fn)(uc_engine *uc, int reg, void *value);
typedef int (*ms_set_fn)(uc_engine *uc, int reg, const void *value);
typedef void (*ms_cost_fn)(uint32_t pc, uint32_t size, ms_cost *cost);

enum { MS_CPSR = 3, MS_MEM_WRITE = 17 };  // UC_ARM_REG_CPSR, UC_MEM_WRITE
#define MS_IT_BITS 0x0600FC00u

typedef struct {
  uint32_t pc, size;
  ms_cost cost;
} ms_known;

typedef struct {
  ms_sim *sim;
  const uint32_t *bucket;  // whose time it is, kept by the block counter; NULL: always 0
  ms_cost_fn cost;
  ms_reg_fn reg_read;
  ms_set_fn reg_write;
  ms_known *known;
  uint32_t room, count;
  uint32_t running;        // 0: events are ignored
  uint32_t out_of_memory;
} ms_feed;

ms_feed *ms_feed_new(ms_sim *sim, const uint32_t *bucket, ms_cost_fn cost, ms_reg_fn reg_read,
                     ms_set_fn reg_write);
void ms_feed_free(ms_feed *feed);
void ms_feed_run(ms_feed *feed, int running);
int ms_feed_ok(const ms_feed *feed);
void ms_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user);
void ms_on_access(uc_engine *uc, int type, uint64_t address, int size, int64_t value, void *user);

ms_feed *ms_feed_new(ms_sim *sim, const uint32_t *bucket, ms_cost_fn cost, ms_reg_fn reg_read,
                     ms_set_fn reg_write) {
  ms_feed *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  *f = (ms_feed){.sim = sim, .bucket = bucket, .cost = cost, .reg_read = reg_read,
                 .reg_write = reg_write, .room = 1024};
  f->known = calloc(f->room, sizeof(ms_known));
  if (f->known == NULL) {
    free(f);
    return NULL;
  }
  return f;
}

void ms_feed_free(ms_feed *feed) {
  if (feed == NULL) return;
  free(feed->known);
  free(feed);
}

void ms_feed_run(ms_feed *feed, int running) { feed->running = running != 0; }

int ms_feed_ok(const ms_feed *feed) { return !feed->out_of_memory; }

static ms_known *slot(ms_known *table, uint32_t room, uint32_t pc, uint32_t size) {
  uint32_t i = ((pc >> 1) * 2654435761u + size) & (room - 1);
  while (table[i].size && (table[i].pc != pc || table[i].size != size)) i = (i + 1) & (room - 1);
  return &table[i];
}

static int grow(ms_feed *f) {
  ms_known *larger = calloc((size_t)f->room * 2, sizeof(ms_known));
  if (larger == NULL) return 0;
  for (uint32_t i = 0; i < f->room; i++)
    if (f->known[i].size) *slot(larger, f->room * 2, f->known[i].pc, f->known[i].size) = f->known[i];
  free(f->known);
  f->known = larger;
  f->room *= 2;
  return 1;
}

void ms_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  ms_feed *f = user;
  const uint32_t pc = (uint32_t)address & ~1u;
  (void)uc;
  if (!f->running || size == 0) return;
  ms_known *k = slot(f->known, f->room, pc, size);
  if (k->size == 0) {
    if (2 * f->count >= f->room) {
      if (!grow(f)) {
        f->out_of_memory = 1;
        f->running = 0;
        return;
      }
      k = slot(f->known, f->room, pc, size);
    }
    f->cost(pc, size, &k->cost);
    k->pc = pc;
    k->size = size;
    f->count++;
  }
  if (f->bucket != NULL) ms_bucket(f->sim, *f->bucket);
  ms_block(f->sim, pc, size, &k->cost);
}

// Unicorn restores the processor state for a memory hook and leaves stale IT bits behind; cleared
// here, or the next block decodes as conditional (unicorn issue 2309).
void ms_on_access(uc_engine *uc, int type, uint64_t address, int size, int64_t value, void *user) {
  ms_feed *f = user;
  uint32_t cpsr = 0;
  (void)value;
  (void)f->reg_read(uc, MS_CPSR, &cpsr);
  if (cpsr & MS_IT_BITS) {
    cpsr &= ~MS_IT_BITS;
    (void)f->reg_write(uc, MS_CPSR, &cpsr);
  }
  if (f->running) ms_access(f->sim, (uint32_t)address, (uint32_t)size, type == MS_MEM_WRITE);
}
