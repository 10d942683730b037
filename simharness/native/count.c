// SPDX-License-Identifier: MIT
// Counts executed blocks and edges inside Unicorn's block hook, per bucket (layer), within a budget.
//
// Built at first use by simharness.native and called through ctypes; links to nothing: Unicorn's
// functions arrive as pointers. The hot path follows the edge from the block before: it compares,
// counts the edge, and takes the block's instructions off the budget. How often a block ran is the
// sum of the edges into it. Whatever is not hot (a bucket that begins or ends, the budget's end) hides
// behind the one test that the budget needs anyway: such blocks cost more than any budget has.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, DEPTH = 64, CHUNK = 256, LINK_REGISTER = 10 };  // UC_ARM_REG_LR
#define SPECIAL ((int64_t)1 << 62)
#define COLD __attribute__((noinline, cold))

typedef void uc_engine;
typedef int (*uc_stop_fn)(uc_engine *uc);
typedef int (*uc_reg_fn)(uc_engine *uc, int reg, void *value);
typedef int (*uc_mem_fn)(uc_engine *uc, uint64_t address, void *bytes, uint64_t size);

// What Python reads and writes; simharness.native mirrors it.
typedef struct {
  int64_t left;          // of the budget, in instructions; at most 2^61
  uint32_t exhausted;    // 1 when the budget stopped the emulation
  uint32_t bucket;       // the current bucket; 0 is "(run)"
  uint32_t stray;        // 1 when code ran outside of every range, at stray_pc
  uint32_t stray_pc;
  uint32_t unaligned;    // 1 when sim_on_access saw an address that hardware faults on,
  uint32_t unaligned_pc; // and where,
  uint32_t base;         // and the register's value there
  uint32_t out_of_memory;
} sim_state;

// A count, as handed to Python: an edge, or a block when size is not 0.
typedef struct {
  uint32_t bucket, source, size, target;
  uint64_t count;
} sim_record;

typedef struct block block;
typedef struct edge edge;

struct edge {
  uint64_t key;  // of the block that it leads to: address, size << 32
  uint64_t count;
  block *to;
  edge *next;  // only in the list of further edges
};

struct block {
  int64_t cost;  // instructions, and SPECIAL where the slow path has to look
  edge slots[SLOTS];
  edge *more;
  uint32_t pc, size, layer;  // layer: 1 + index of the layer that starts here, or 0
  uint64_t entered;          // scratch of flush
  block *same_pc;            // another block that starts here but ends elsewhere
};

typedef struct {
  uint32_t base, halves;
  block **index;   // of the block that starts at base + 2 * i
  uint8_t *watch;  // Unicorn's number of the register that must be aligned there, or 0; may be NULL
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
  block *previous;
  block root;     // stands before the first block of a call
  block stopped;  // stands for `paused` when the budget stopped the emulation before that block ran
  block *paused;
  uc_stop_fn stop;
  uc_reg_fn reg_read;
  uc_mem_fn mem_read;
  range *ranges;
  uint32_t range_count;
  block **chunks;
  uint64_t chunk_count, chunk_room, block_count;
  sim_record *records;
  uint64_t record_count, record_room;
  uint32_t *layers;  // entry addresses
  uint32_t layer_count;
  uint32_t *returns;  // addresses that a layer has been seen to return to
  uint64_t return_count, return_room;
  capture *captures;
  uint32_t capture_count;
  frame frames[DEPTH];
  uint32_t depth;
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

uint32_t sim_version(void) { return 5; }

// The items, with room for one more; NULL (and the old ones kept) when memory is exhausted.
static void *grown(sim_counter *c, void *items, uint64_t count, uint64_t *room, size_t item_size) {
  if (count < *room) return items;
  const uint64_t wanted = *room ? 2 * *room : 64;
  void *moved = realloc(items, (size_t)wanted * item_size);
  if (moved == NULL) {
    c->state.out_of_memory = 1;
    return NULL;
  }
  *room = wanted;
  return moved;
}

static block *block_at(const sim_counter *c, uint64_t i) { return &c->chunks[i / CHUNK][i % CHUNK]; }

static void record(sim_counter *c, uint32_t source, uint32_t size, uint32_t target, uint64_t count) {
  sim_record *items = grown(c, c->records, c->record_count, &c->record_room, sizeof *items);
  if (items == NULL) return;
  c->records = items;
  items[c->record_count++] = (sim_record){c->state.bucket, source, size, target, count};
}

static void flush_edge(sim_counter *c, const block *from, edge *e) {
  if (e->count == 0) return;
  e->to->entered += e->count;
  if (from != &c->root) record(c, from->pc, 0, e->to->pc, e->count);
  e->count = 0;
}

static void flush_edges(sim_counter *c, block *from) {
  for (uint32_t k = 0; k < SLOTS; k++) flush_edge(c, from, &from->slots[k]);
  for (edge *e = from->more; e; e = e->next) flush_edge(c, from, e);
}

// Moves all counts to the records of the current bucket.
static void flush(sim_counter *c) {
  flush_edges(c, &c->root);
  for (uint64_t i = 0; i < c->block_count; i++) flush_edges(c, block_at(c, i));
  for (uint64_t i = 0; i < c->block_count; i++) {
    block *b = block_at(c, i);
    if (b->entered) record(c, b->pc, b->size, 0, b->entered);
    b->entered = 0;
  }
}

// Moves all counts but the entry of `b`, which belongs to the bucket that comes.
static void flush_before(sim_counter *c, block *b) {
  b->entered--;
  flush(c);
  b->entered = 1;
}

static void copy_captures(sim_counter *c) {
  for (uint32_t i = 0; i < c->capture_count; i++) {
    const capture *x = &c->captures[i];
    if (x->bucket == c->state.bucket) memcpy(x->to, x->from, x->size);
  }
}

static void leave(sim_counter *c) {
  copy_captures(c);
  c->depth--;
  c->state.bucket = c->frames[c->depth].bucket;
}

static block **slot_of(sim_counter *c, uint32_t pc) {
  for (uint32_t i = 0; i < c->range_count; i++) {
    const uint32_t half = (pc - c->ranges[i].base) >> 1;
    if (half < c->ranges[i].halves) return &c->ranges[i].index[half];
  }
  return NULL;
}

static void mark(block *b) {
  if (b->cost < SPECIAL) b->cost += SPECIAL;
}

// Remembers where a layer returns to, so that blocks there are looked at.
static void expect_return(sim_counter *c, uint32_t pc) {
  for (uint64_t i = 0; i < c->return_count; i++) {
    if (c->returns[i] == pc) return;
  }
  uint32_t *items = grown(c, c->returns, c->return_count, &c->return_room, sizeof *items);
  if (items == NULL) return;
  c->returns = items;
  items[c->return_count++] = pc;
  block **slot = slot_of(c, pc);
  for (block *b = slot ? *slot : NULL; b; b = b->same_pc) mark(b);
}

static void enter(sim_counter *c, uc_engine *uc, block *b) {
  uint32_t link = 0;
  if (c->depth == DEPTH) return;
  (void)c->reg_read(uc, LINK_REGISTER, &link);
  link &= ~1u;
  // A function may begin with a loop: coming back to its first block is no second call.
  if (c->depth && c->state.bucket == b->layer && c->frames[c->depth - 1].return_pc == link) return;
  flush_before(c, b);
  c->frames[c->depth++] = (frame){link, c->state.bucket};
  c->state.bucket = b->layer;
  expect_return(c, link);
}

// Thumb instructions in a block: the first halfword tells the length of each.
static uint32_t count_instructions(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  uint32_t n = 0;
  uint16_t half;
  for (uint32_t at = 0; at < size; n++) {
    if (c->mem_read(uc, pc + at, &half, sizeof half) != 0) return n;
    at += (half >> 11) >= 0x1D ? 4 : 2;
  }
  return n;
}

static block *new_block(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  if (c->block_count == c->chunk_count * CHUNK) {
    block **chunks = grown(c, c->chunks, c->chunk_count, &c->chunk_room, sizeof *chunks);
    if (chunks == NULL) return NULL;
    c->chunks = chunks;
    chunks[c->chunk_count] = calloc(CHUNK, sizeof(block));
    if (chunks[c->chunk_count] == NULL) {
      c->state.out_of_memory = 1;
      return NULL;
    }
    c->chunk_count++;
  }
  block *b = block_at(c, c->block_count++);
  b->pc = pc;
  b->size = size;
  b->cost = count_instructions(c, uc, pc, size);
  for (uint32_t i = 0; i < c->layer_count; i++) {
    if (c->layers[i] == pc) b->layer = i + 1;
  }
  if (b->layer) mark(b);
  for (uint64_t i = 0; i < c->return_count; i++) {
    if (c->returns[i] == pc) mark(b);
  }
  return b;
}

// The block, made when it is new; NULL on failure, which the state tells.
static block *find(sim_counter *c, uc_engine *uc, uint32_t pc, uint32_t size) {
  block **slot = slot_of(c, pc);
  if (slot == NULL) {
    c->state.stray = 1;
    c->state.stray_pc = pc;
    return NULL;
  }
  while (*slot && (*slot)->size != size) slot = &(*slot)->same_pc;
  if (*slot == NULL) *slot = new_block(c, uc, pc, size);
  return *slot;
}

// The edge `from` the previous block to this one, made when it is new; NULL on failure.
static edge *find_edge(sim_counter *c, uc_engine *uc, block *from, uint64_t key) {
  for (uint32_t k = 2; k < SLOTS; k++) {
    if (from->slots[k].key == key) return &from->slots[k];
  }
  for (edge *e = from->more; e; e = e->next) {
    if (e->key == key) return e;
  }
  block *to = find(c, uc, (uint32_t)key, (uint32_t)(key >> 32));
  if (to == NULL) return NULL;
  edge *e = NULL;
  for (uint32_t k = 0; k < SLOTS && e == NULL; k++) {
    if (from->slots[k].to == NULL) e = &from->slots[k];
  }
  if (e == NULL) {
    e = calloc(1, sizeof *e);
    if (e == NULL) {
      c->state.out_of_memory = 1;
      return NULL;
    }
    e->next = from->more;
    from->more = e;
  }
  e->key = key;
  e->to = to;
  return e;
}

// A block that begins or ends a bucket, or the end of the budget.
COLD static void look(sim_counter *c, uc_engine *uc, block *b) {
  if (b->cost >= SPECIAL) {
    c->state.left += SPECIAL;
    if (c->depth && c->frames[c->depth - 1].return_pc == b->pc) {
      flush_before(c, b);
      leave(c);
    }
    if (b->layer) enter(c, uc, b);
  }
  if (c->state.left < 0) {
    c->state.exhausted = 1;
    c->paused = b;
    c->previous = &c->stopped;
    (void)c->stop(uc);
  }
}

static inline void follow(sim_counter *c, uc_engine *uc, edge *e) {
  block *to = e->to;
  e->count++;
  c->previous = to;
  c->state.left -= to->cost;
  if (c->state.left < 0) look(c, uc, to);
}

COLD static void follow_rare_edge(sim_counter *c, uc_engine *uc, uint64_t key) {
  if (c->previous == &c->stopped) {  // going on with a block that has been counted already
    c->previous = c->paused;
    return;
  }
  edge *e = find_edge(c, uc, c->previous, key);
  if (e) {
    follow(c, uc, e);
  } else {
    (void)c->stop(uc);
  }
}

// Unicorn's UC_HOOK_BLOCK. Everything rare is a tail call, so that this needs no stack.
void sim_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  sim_counter *c = user;
  block *from = c->previous;
  const uint64_t key = (uint32_t)address | (uint64_t)size << 32;
  if (from->slots[0].key == key) {
    follow(c, uc, &from->slots[0]);
  } else if (from->slots[1].key == key) {
    follow(c, uc, &from->slots[1]);
  } else {
    follow_rare_edge(c, uc, key);
  }
}

// Unicorn's UC_HOOK_CODE: stops at a watched instruction whose address the core would fault on.
void sim_on_access(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  sim_counter *c = user;
  const uint32_t pc = (uint32_t)address;
  uint32_t base = 0;
  (void)size;
  for (uint32_t i = 0; i < c->range_count; i++) {
    const range *r = &c->ranges[i];
    const uint32_t half = (pc - r->base) >> 1;
    if (half >= r->halves) continue;
    if (r->watch == NULL || r->watch[half] == 0) return;
    (void)c->reg_read(uc, r->watch[half], &base);
    if (base & 3u) {
      c->state.unaligned = 1;
      c->state.unaligned_pc = pc;
      c->state.base = base;
      (void)c->stop(uc);
    }
    return;
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

// Code is expected in `range_count` ranges of addresses; layers are given by their entry.
sim_counter *sim_new(uint32_t range_count, const uint32_t *bases, const uint32_t *sizes,
                     uint32_t layer_count, const uint32_t *layers, uc_stop_fn stop,
                     uc_reg_fn reg_read, uc_mem_fn mem_read) {
  sim_counter *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->stop = stop;
  c->reg_read = reg_read;
  c->mem_read = mem_read;
  c->previous = &c->root;
  c->ranges = calloc((size_t)range_count + 1, sizeof(range));
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
    r->index = calloc((size_t)r->halves + 1, sizeof(block *));
    c->range_count = i + 1;
    if (r->index == NULL) {
      sim_free(c);
      return NULL;
    }
  }
  return c;
}

static void free_edges(edge *e) {
  while (e) {
    edge *next = e->next;
    free(e);
    e = next;
  }
}

void sim_free(sim_counter *c) {
  if (c == NULL) return;
  free_edges(c->root.more);
  for (uint64_t i = 0; i < c->block_count; i++) free_edges(block_at(c, i)->more);
  for (uint64_t i = 0; i < c->chunk_count; i++) free(c->chunks[i]);
  for (uint32_t i = 0; c->ranges && i < c->range_count; i++) {
    free(c->ranges[i].index);
    free(c->ranges[i].watch);
  }
  free(c->chunks);
  free(c->ranges);
  free(c->layers);
  free(c->returns);
  free(c->records);
  free(c->captures);
  free(c);
}

// Whenever bucket `bucket` ends, copies `size` bytes; 0 when memory is exhausted.
int sim_capture(sim_counter *c, uint32_t bucket, const void *from, void *to, uint32_t size) {
  capture *moved = realloc(c->captures, ((size_t)c->capture_count + 1) * sizeof(capture));
  if (moved == NULL) return 0;
  c->captures = moved;
  c->captures[c->capture_count++] = (capture){bucket, size, from, to};
  return 1;
}

// Forgets all counts (not the blocks) before a call.
void sim_reset(sim_counter *c) {
  c->record_count = 0;
  flush(c);
  c->record_count = 0;
  c->depth = 0;
  c->previous = &c->root;
  memset(&c->state, 0, sizeof c->state);
}

// Ends a call: what is still open is closed. Returns how many records there are.
uint64_t sim_finish(sim_counter *c) {
  flush(c);
  while (c->depth) leave(c);
  c->previous = &c->root;
  return c->record_count;
}

const sim_record *sim_records(const sim_counter *c) { return c->records; }
