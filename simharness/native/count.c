// SPDX-License-Identifier: MIT
// Counts executed blocks and edges inside Unicorn's block hook, per bucket (layer), within a budget.
//
// Built at first use by simharness.native and called through ctypes; links to nothing: Unicorn's
// functions arrive as pointers. The hot path is a table lookup, a comparison with four successor
// slots and two additions. Counts move from the blocks to the list of records when the bucket changes.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, DEPTH = 64, LINK_REGISTER = 10 };  // UC_ARM_REG_LR

typedef void uc_engine;
typedef int (*uc_stop_fn)(uc_engine *uc);
typedef int (*uc_reg_fn)(uc_engine *uc, int reg, void *value);
typedef int (*uc_mem_fn)(uc_engine *uc, uint64_t address, void *bytes, uint64_t size);

// What Python reads and writes; simharness.native mirrors it.
typedef struct {
  uint64_t budget;       // instructions; the emulation stops at the first block beyond
  uint64_t executed;     // instructions in the blocks entered since reset
  uint32_t exhausted;    // 1 when the budget stopped the emulation
  uint32_t bucket;       // the current bucket; 0 is "(run)"
  uint32_t stray;        // 1 when code ran outside of every range, at stray_pc
  uint32_t stray_pc;
  uint32_t out_of_memory;
  uint32_t last_pc;      // the block entered last
  uint32_t unaligned;    // 1 when sim_on_access saw an address that hardware faults on,
  uint32_t unaligned_pc; // and where
  uint32_t base;         // the register's value there
} sim_state;

// A count, as handed to Python: an edge, or a block when size is not 0.
typedef struct {
  uint32_t bucket, source, size, target;
  uint64_t count;
} sim_record;

typedef struct {
  uint32_t target, next;
  uint64_t count;
} edge;

typedef struct {
  uint32_t pc, size, instructions, bucket;  // bucket: 1 + index of the layer that starts here, or 0
  uint64_t count;
  uint32_t same_pc;  // another block that starts here but ends elsewhere
  uint32_t more;     // further successors, a list in edges
  uint32_t target[SLOTS];
  uint64_t taken[SLOTS];
} block;

typedef struct {
  uint32_t base, halves;
  uint32_t *index;  // of the block that starts at base + 2 * i; 0 is none
  uint8_t *watch;   // Unicorn's number of the register that must be aligned there, or 0; may be NULL
} range;

typedef struct {
  uint32_t return_pc, bucket;
} frame;

typedef struct {
  uint32_t bucket, size;
  const void *from;
  void *to;
} capture;

typedef struct {
  sim_state state;
  uc_stop_fn stop;
  uc_reg_fn reg_read;
  uc_mem_fn mem_read;
  range *ranges;
  uint32_t range_count, recent_range;
  block *blocks;  // blocks[0] is unused
  uint32_t block_count, block_room;
  edge *edges;  // edges[0] is unused
  uint32_t edge_count, edge_room;
  sim_record *records;
  uint64_t record_count, record_room;
  uint32_t *layers;  // entry addresses
  uint32_t layer_count;
  capture *captures;
  uint32_t capture_count;
  frame frames[DEPTH];
  uint32_t depth, previous;
} sim_counter;

uint32_t sim_version(void);
sim_counter *sim_new(uint32_t range_count, const uint32_t *bases, const uint32_t *sizes,
                     uint32_t layer_count, const uint32_t *layers, uc_stop_fn stop,
                     uc_reg_fn reg_read, uc_mem_fn mem_read);
void sim_free(sim_counter *c);
int sim_watch(sim_counter *c, uint32_t pc, uint32_t reg);
int sim_capture(sim_counter *c, uint32_t bucket, const void *from, void *to, uint32_t size);
void sim_reset(sim_counter *c);
uint64_t sim_finish(sim_counter *c);
const sim_record *sim_records(const sim_counter *c);
void sim_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user);

void sim_on_access(uc_engine *uc, uint64_t address, uint32_t size, void *user);

uint32_t sim_version(void) { return 3; }

// Makes room for one more of `count` items; 0 when memory is exhausted.
static int grow(sim_counter *c, void **items, uint64_t count, uint64_t *room, size_t item_size) {
  if (count < *room) return 1;
  const uint64_t wanted = *room ? 2 * *room : 256;
  void *moved = realloc(*items, (size_t)wanted * item_size);
  if (moved == NULL) {
    c->state.out_of_memory = 1;
    return 0;
  }
  *items = moved;
  *room = wanted;
  return 1;
}

static void record(sim_counter *c, uint32_t source, uint32_t size, uint32_t target, uint64_t count) {
  void *items = c->records;
  if (!grow(c, &items, c->record_count, &c->record_room, sizeof(sim_record))) return;
  c->records = items;
  c->records[c->record_count++] = (sim_record){c->state.bucket, source, size, target, count};
}

// Moves all counts to the records of the current bucket.
static void flush(sim_counter *c) {
  for (uint32_t i = 1; i < c->block_count; i++) {
    block *b = &c->blocks[i];
    if (b->count) record(c, b->pc, b->size, 0, b->count);
    b->count = 0;
    for (uint32_t k = 0; k < SLOTS; k++) {
      if (b->taken[k]) record(c, b->pc, 0, c->blocks[b->target[k]].pc, b->taken[k]);
      b->taken[k] = 0;
    }
    for (uint32_t e = b->more; e; e = c->edges[e].next) {
      edge *x = &c->edges[e];
      if (x->count) record(c, b->pc, 0, c->blocks[x->target].pc, x->count);
      x->count = 0;
    }
  }
}

static void copy_captures(sim_counter *c) {
  for (uint32_t i = 0; i < c->capture_count; i++) {
    const capture *x = &c->captures[i];
    if (x->bucket == c->state.bucket) memcpy(x->to, x->from, x->size);
  }
}

static void leave(sim_counter *c) {
  flush(c);
  copy_captures(c);
  c->depth--;
  c->state.bucket = c->frames[c->depth].bucket;
}

static void enter(sim_counter *c, uc_engine *uc, uint32_t bucket) {
  uint32_t link = 0;
  if (c->depth == DEPTH) return;
  (void)c->reg_read(uc, LINK_REGISTER, &link);
  link &= ~1u;
  // A function may begin with a loop: coming back to its first block is no second call.
  if (c->depth && c->state.bucket == bucket && c->frames[c->depth - 1].return_pc == link) return;
  flush(c);
  c->frames[c->depth++] = (frame){link, c->state.bucket};
  c->state.bucket = bucket;
}

// Thumb instructions in a block: the first halfword tells the length. 0 when unreadable.
static uint32_t count_instructions(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  uint32_t n = 0;
  uint16_t half;
  for (uint32_t at = 0; at < size; n++) {
    if (c->mem_read(uc, pc + at, &half, sizeof half) != 0) return n;
    at += (half >> 11) >= 0x1D ? 4 : 2;
  }
  return n;
}

static uint32_t *slot_of(sim_counter *c, uint32_t pc) {
  for (uint32_t i = 0; i < c->range_count; i++) {
    const range *r = &c->ranges[i];
    const uint32_t half = (pc - r->base) >> 1;
    if (half < r->halves) {
      c->recent_range = i;
      return &r->index[half];
    }
  }
  return NULL;
}

static uint32_t new_block(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  uint64_t room = c->block_room;
  void *items = c->blocks;
  if (!grow(c, &items, c->block_count, &room, sizeof(block))) return 0;
  c->blocks = items;
  c->block_room = (uint32_t)room;
  block *b = &c->blocks[c->block_count];
  memset(b, 0, sizeof *b);
  b->pc = pc;
  b->size = size;
  b->instructions = count_instructions(c, uc, pc, size);
  for (uint32_t i = 0; i < c->layer_count; i++) {
    if (c->layers[i] == pc) b->bucket = i + 1;
  }
  return c->block_count++;
}

// The block, made when it is new; 0 on failure, which the state tells.
static uint32_t find(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  uint32_t *slot = slot_of(c, pc);
  if (slot == NULL) {
    c->state.stray = 1;
    c->state.stray_pc = pc;
    return 0;
  }
  uint32_t id = *slot, last = 0;
  for (; id; id = c->blocks[id].same_pc) {
    if (c->blocks[id].size == size) return id;
    last = id;
  }
  id = new_block(c, uc, pc, size);
  if (last) {
    c->blocks[last].same_pc = id;
  } else {
    *slot = id;
  }
  return id;
}

static void count_rare_edge(sim_counter *c, block *from, uint32_t to) {
  for (uint32_t k = 0; k < SLOTS; k++) {
    if (from->target[k] == 0) from->target[k] = to;
    if (from->target[k] == to) {
      from->taken[k]++;
      return;
    }
  }
  for (uint32_t e = from->more; e; e = c->edges[e].next) {
    if (c->edges[e].target == to) {
      c->edges[e].count++;
      return;
    }
  }
  uint64_t room = c->edge_room;
  void *items = c->edges;
  if (!grow(c, &items, c->edge_count, &room, sizeof(edge))) return;
  c->edges = items;
  c->edge_room = (uint32_t)room;
  c->edges[c->edge_count] = (edge){to, from->more, 1};
  from->more = c->edge_count++;
}

// Unicorn's UC_HOOK_BLOCK.
void sim_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  sim_counter *c = user;
  const uint32_t pc = (uint32_t)address & ~1u;
  const range *r = &c->ranges[c->recent_range];
  const uint32_t half = (pc - r->base) >> 1;
  uint32_t id = half < r->halves ? r->index[half] : 0;
  if (id == 0 || c->blocks[id].size != size) {
    id = find(c, uc, pc, size);
    if (id == 0) {
      (void)c->stop(uc);
      return;
    }
  }
  c->state.last_pc = pc;
  if (c->previous) {
    block *from = &c->blocks[c->previous];
    if (from->target[0] == id) {
      from->taken[0]++;
    } else if (from->target[1] == id) {
      from->taken[1]++;
    } else {
      count_rare_edge(c, from, id);
    }
  }
  c->previous = id;
  if (c->depth && pc == c->frames[c->depth - 1].return_pc) leave(c);
  block *b = &c->blocks[id];
  if (b->bucket) enter(c, uc, b->bucket);
  b->count++;
  c->state.executed += b->instructions;
  if (c->state.executed > c->state.budget || c->state.out_of_memory) {
    c->state.exhausted = 1;
    (void)c->stop(uc);
  }
}

// Unicorn's UC_HOOK_CODE: stops at a watched instruction whose address the core would fault on.
void sim_on_access(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  sim_counter *c = user;
  const range *r = &c->ranges[c->recent_range];  // of the block that is running
  const uint32_t pc = (uint32_t)address, half = (pc - r->base) >> 1;
  uint32_t base = 0;
  (void)size;
  if (half >= r->halves || r->watch == NULL || r->watch[half] == 0) return;
  (void)c->reg_read(uc, r->watch[half], &base);
  if (base & 3u) {
    c->state.unaligned = 1;
    c->state.unaligned_pc = pc;
    c->state.base = base;
    (void)c->stop(uc);
  }
}

// Register `reg` (Unicorn's number) must be a multiple of 4 at the instruction at `pc`.
// 0 when memory is exhausted or `pc` is in no range.
int sim_watch(sim_counter *c, uint32_t pc, uint32_t reg) {
  for (uint32_t i = 0; i < c->range_count; i++) {
    range *r = &c->ranges[i];
    const uint32_t half = (pc - r->base) >> 1;
    if (half >= r->halves) continue;
    if (r->watch == NULL) r->watch = calloc(r->halves, 1);
    if (r->watch == NULL) return 0;
    r->watch[half] = (uint8_t)reg;
    return 1;
  }
  return 0;
}

sim_counter *sim_new(uint32_t range_count, const uint32_t *bases, const uint32_t *sizes,
                     uint32_t layer_count, const uint32_t *layers, uc_stop_fn stop,
                     uc_reg_fn reg_read, uc_mem_fn mem_read) {
  sim_counter *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->stop = stop;
  c->reg_read = reg_read;
  c->mem_read = mem_read;
  c->block_count = c->edge_count = 1;
  c->ranges = calloc(range_count + 1, sizeof(range));
  c->layers = calloc((size_t)layer_count + 1, sizeof(uint32_t));
  if (c->ranges == NULL || c->layers == NULL) {
    sim_free(c);
    return NULL;
  }
  for (uint32_t i = 0; i < layer_count; i++) c->layers[i] = layers[i];
  c->layer_count = layer_count;
  for (uint32_t i = 0; i < range_count; i++) {
    range *r = &c->ranges[i];
    r->base = bases[i];
    r->halves = sizes[i] / 2;
    r->index = calloc((size_t)r->halves + 1, sizeof(uint32_t));
    c->range_count = i + 1;
    if (r->index == NULL) {
      sim_free(c);
      return NULL;
    }
  }
  return c;
}

void sim_free(sim_counter *c) {
  if (c == NULL) return;
  for (uint32_t i = 0; i < c->range_count; i++) {
    free(c->ranges[i].index);
    free(c->ranges[i].watch);
  }
  free(c->ranges);
  free(c->layers);
  free(c->blocks);
  free(c->edges);
  free(c->records);
  free(c->captures);
  free(c);
}

// Whenever bucket `bucket` ends, copies `size` bytes; 0 when memory is exhausted.
int sim_watch(sim_counter *c, uint32_t pc, uint32_t reg);
int sim_capture(sim_counter *c, uint32_t bucket, const void *from, void *to, uint32_t size) {
  capture *moved = realloc(c->captures, ((size_t)c->capture_count + 1) * sizeof(capture));
  if (moved == NULL) return 0;
  c->captures = moved;
  c->captures[c->capture_count++] = (capture){bucket, size, from, to};
  return 1;
}

// Forgets all counts (not the blocks) before a call.
void sim_reset(sim_counter *c) {
  const uint64_t budget = c->state.budget;
  c->record_count = 0;
  flush(c);
  c->record_count = 0;
  c->depth = c->previous = 0;
  memset(&c->state, 0, sizeof c->state);
  c->state.budget = budget;
}

// Ends a call: what is still open is closed. Returns how many records there are.
uint64_t sim_finish(sim_counter *c) {
  while (c->depth) leave(c);
  flush(c);
  c->previous = 0;
  return c->record_count;
}

const sim_record *sim_records(const sim_counter *c) { return c->records; }
