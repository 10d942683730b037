// SPDX-License-Identifier: MIT
// Feeds the memory simulator from Unicorn's block hook.
//
// Unicorn's functions arrive as pointers, so this links to nothing. What a block costs at zero wait
// states, and which addresses it accesses, is asked once per block through a callback and kept in a
// hash table: a memory hook would slow Unicorn down tenfold, and a block's addresses nearly always
// follow from the registers that it starts with.
#include "memsim.c"

typedef void uc_engine;
typedef int (*ms_reg_fn)(uc_engine *uc, int *registers, void **values, int count);

enum { MS_R0 = 66, MS_SP = 12, MS_LR = 10, MS_HOSTS = 16 };  // Unicorn's register numbers

// One step of a block's plan: see cycle_models/addresses.py for its meaning.
typedef struct {
  uint8_t kind, into, first, second;
  uint8_t shift, size, is_signed, reserved;
  uint32_t count, constant;
} ms_operation;

enum {
  MS_ADD, MS_SUB, MS_AND, MS_OR, MS_XOR, MS_MULTIPLY, MS_SHIFT_RIGHT, MS_SHIFT_RIGHT_SIGNED,
  MS_EXTEND, MS_CONSTANT, MS_REVERSE, MS_LOAD, MS_READ, MS_WRITE
};

typedef struct {
  ms_cost cost;
  uint32_t bucket;  // whose time the block is; MS_NONE: that of the current layer
  uint32_t operation_count, registers, unseen;
  const ms_operation *operations;  // kept alive by the caller
} ms_plan;

typedef void (*ms_plan_fn)(uint32_t pc, uint32_t size, ms_plan *plan);

// A memory of the emulated machine and where its bytes are on the host.
typedef struct {
  uint32_t origin, size;
  const uint8_t *host;
} ms_host;

typedef struct {
  uint32_t pc, size;
  ms_plan plan;
} ms_known;

typedef struct {
  ms_sim *sim;
  const uint32_t *bucket;  // whose time it is, kept by the block counter; NULL: always 0
  ms_plan_fn plan;
  ms_reg_fn reg_read;
  ms_host hosts[MS_HOSTS];
  uint32_t host_count;
  ms_known *known;
  uint32_t room, count;
  uint32_t running;        // 0: events are ignored
  uint32_t out_of_memory;
  uint64_t seen, unseen;   // data accesses
} ms_feed;

ms_feed *ms_feed_new(ms_sim *sim, const uint32_t *bucket, ms_plan_fn plan, ms_reg_fn reg_read);
int ms_feed_host(ms_feed *feed, uint32_t origin, uint32_t size, const uint8_t *host);
void ms_feed_free(ms_feed *feed);
void ms_feed_run(ms_feed *feed, int running);
int ms_feed_ok(const ms_feed *feed);
double ms_feed_unseen(const ms_feed *feed);  // share of data accesses
void ms_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user);

ms_feed *ms_feed_new(ms_sim *sim, const uint32_t *bucket, ms_plan_fn plan, ms_reg_fn reg_read) {
  ms_feed *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->sim = sim;
  f->bucket = bucket;
  f->plan = plan;
  f->reg_read = reg_read;
  f->room = 1024;
  f->known = calloc(f->room, sizeof(ms_known));
  if (f->known == NULL) {
    free(f);
    return NULL;
  }
  return f;
}

int ms_feed_host(ms_feed *feed, uint32_t origin, uint32_t size, const uint8_t *host) {
  if (feed->host_count == MS_HOSTS) return 0;
  feed->hosts[feed->host_count++] = (ms_host){origin, size, host};
  return 1;
}

void ms_feed_free(ms_feed *feed) {
  if (feed == NULL) return;
  free(feed->known);
  free(feed);
}

void ms_feed_run(ms_feed *feed, int running) { feed->running = running != 0; }

int ms_feed_ok(const ms_feed *feed) { return !feed->out_of_memory; }

double ms_feed_unseen(const ms_feed *feed) {
  const uint64_t all = feed->seen + feed->unseen;
  return all ? (double)feed->unseen / (double)all : 0.0;
}

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

// What the machine's memory holds; 0 where there is none.
static uint32_t peek(const ms_feed *f, uint32_t address, uint32_t size) {
  for (uint32_t i = 0; i < f->host_count; i++) {
    const ms_host *h = &f->hosts[i];
    const uint32_t at = address - h->origin;
    if (at >= h->size || h->size - at < size) continue;
    uint32_t value = 0;
    for (uint32_t k = 0; k < size; k++) value |= (uint32_t)h->host[at + k] << (8 * k);
    return value;
  }
  return 0;
}

static uint32_t extended(uint32_t value, uint32_t size, int is_signed) {
  if (size >= 4) return value;
  const uint32_t bits = 8 * size;
  const uint32_t low = value & ((1u << bits) - 1u);
  return is_signed && (low >> (bits - 1u)) ? low | ~((1u << bits) - 1u) : low;
}

static void run_plan(ms_feed *f, const ms_plan *plan, uint32_t *r) {
  for (uint32_t i = 0; i < plan->operation_count; i++) {
    const ms_operation *o = &plan->operations[i];
    const uint32_t a = r[o->first];
    const uint32_t b = (r[o->second] << o->shift) + o->constant;
    switch (o->kind) {
      case MS_ADD: r[o->into] = a + b; break;
      case MS_SUB: r[o->into] = a - b; break;
      case MS_AND: r[o->into] = a & b; break;
      case MS_OR: r[o->into] = a | b; break;
      case MS_XOR: r[o->into] = a ^ b; break;
      case MS_MULTIPLY: r[o->into] = a * b; break;
      case MS_SHIFT_RIGHT: r[o->into] = o->constant > 31 ? 0 : a >> o->constant; break;
      case MS_SHIFT_RIGHT_SIGNED: {
        const uint32_t n = o->constant > 31 ? 31 : o->constant;
        r[o->into] = (a >> n) | ((a >> 31) && n ? ~(0xFFFFFFFFu >> n) : 0);
        break;
      }
      case MS_EXTEND: r[o->into] = extended(a, o->size, o->is_signed); break;
      case MS_CONSTANT: r[o->into] = o->constant; break;
      case MS_REVERSE: r[o->into] = b - a; break;
      case MS_LOAD:
        simulate_access(f->sim, a + b, o->size, 0);
        r[o->into] = extended(peek(f, a + b, o->size), o->size, o->is_signed);
        f->seen++;
        break;
      default:
        for (uint32_t k = 0; k < o->count; k++)
          simulate_access(f->sim, a + b + k * o->size, o->size, o->kind == MS_WRITE);
        f->seen += o->count;
    }
    r[15] = 0;
  }
}

void ms_on_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
  ms_feed *f = user;
  const uint32_t pc = (uint32_t)address & ~1u;
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
    k->plan.bucket = MS_NONE;
    f->plan(pc, size, &k->plan);
    k->pc = pc;
    k->size = size;
    f->count++;
  }
  if (k->plan.bucket != MS_NONE) {
    set_bucket(f->sim, k->plan.bucket);
  } else if (f->bucket != NULL) {
    set_bucket(f->sim, *f->bucket);
  }
  simulate_block(f->sim, pc, size, &k->plan.cost);
  f->unseen += k->plan.unseen;
  if (k->plan.operation_count == 0) return;
  int numbers[16], count = 0;
  uint32_t r[16] = {0};
  void *values[16];
  for (int i = 0; i < 15; i++) {
    if (!(k->plan.registers >> i & 1u)) continue;
    numbers[count] = i == 13 ? MS_SP : i == 14 ? MS_LR : MS_R0 + i;
    values[count++] = &r[i];
  }
  (void)f->reg_read(uc, numbers, values, count);
  run_plan(f, &k->plan, r);
}
