// SPDX-License-Identifier: MIT
// Watches every data access of a run and keeps, for each byte of the watched memory, who wrote it.
//
// A layer (bucket) has regions that it may read, write, or use as scratch, each with an owner number.
// A write makes its region's owner the byte's owner; a read must find the owner that its region promises.
// Where a layer's output lies over its own input, a byte that the output took is lost to the input: reading
// it again convicts in-place and overlapped kernels by the same rule as all others.
// Unicorn's functions arrive as pointers, so this links to nothing.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void uc_engine;
typedef int (*san_reg_fn)(uc_engine *uc, int reg, void *value);

enum { SAN_READ = 1, SAN_WRITE = 2, SAN_SCRATCH = 4 };
enum { SAN_MEM_WRITE = 17 };  // UC_MEM_WRITE
enum { SAN_RECORDS = 1024, SAN_CPSR = 3, SAN_PC = 11 };
#define SAN_IT_BITS 0x0600FC00u

// What is wrong with an access; simharness.sanitize names them in this order.
enum {
  SAN_WRITE_OUTSIDE, SAN_READ_OUTSIDE, SAN_UNINITIALIZED, SAN_SCRATCH_UNINITIALIZED, SAN_OVERWRITTEN,
  SAN_FOREIGN, SAN_STRAY_WRITE
};

typedef struct {
  uint32_t start, end;
  uint32_t owner, kind;
  uint32_t used;  // bytes from the start up to the last one accessed
} san_region;

typedef struct {
  uint32_t bucket, kind, address, pc, expected, owner;
  uint64_t count;
} san_record;

typedef struct {
  uint32_t start, size;
  uint16_t *owner;
  uint8_t *touched;
} san_watch;

typedef struct {
  const uint32_t *bucket;
  san_reg_fn reg_read, reg_write;
  uint32_t layer_count, watch_count, running, record_count, lost;
  uint32_t stack_low, stack_high;
  uint32_t *first;  // regions of bucket b are first[b] .. first[b + 1]
  san_region *regions;
  san_watch *watches;
  san_record records[SAN_RECORDS];
} san;

void san_free(san *s) {
  if (s == NULL) return;
  for (uint32_t i = 0; s->watches != NULL && i < s->watch_count; i++) {
    free(s->watches[i].owner);
    free(s->watches[i].touched);
  }
  free(s->watches);
  free(s->regions);
  free(s->first);
  free(s);
}

san *san_new(const uint32_t *bucket, void *reg_read, void *reg_write, uint32_t layer_count,
             const uint32_t *first, const san_region *regions, uint32_t watch_count,
             const uint32_t *starts, const uint32_t *sizes, uint32_t stack_low,
             uint32_t stack_high) {
  san *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->bucket = bucket;
  memcpy(&s->reg_read, &reg_read, sizeof s->reg_read);
  memcpy(&s->reg_write, &reg_write, sizeof s->reg_write);
  s->layer_count = layer_count;
  s->watch_count = watch_count;
  s->stack_low = stack_low;
  s->stack_high = stack_high;
  const uint32_t total = first[layer_count + 1];
  s->first = malloc((layer_count + 2) * sizeof *s->first);
  s->regions = malloc((total + 1) * sizeof *s->regions);
  s->watches = calloc(watch_count + 1, sizeof *s->watches);
  if (s->first == NULL || s->regions == NULL || s->watches == NULL) {
    san_free(s);
    return NULL;
  }
  memcpy(s->first, first, (layer_count + 2) * sizeof *first);
  memcpy(s->regions, regions, total * sizeof *regions);
  for (uint32_t i = 0; i < watch_count; i++) {
    san_watch *w = &s->watches[i];
    w->start = starts[i];
    w->size = sizes[i];
    w->owner = calloc(sizes[i] + 1u, sizeof *w->owner);
    w->touched = calloc(sizes[i] + 1u, 1);
    if (w->owner == NULL || w->touched == NULL) {
      san_free(s);
      return NULL;
    }
  }
  return s;
}

void san_run(san *s, int running) { s->running = (uint32_t)running; }
uint32_t san_record_count(const san *s) { return s->record_count; }
uint32_t san_lost(const san *s) { return s->lost; }
const san_record *san_records(const san *s) { return s->records; }
uint32_t san_used(const san *s, uint32_t region) { return s->regions[region].used; }
uint16_t *san_owners(san *s, uint32_t watch) { return s->watches[watch].owner; }
const uint8_t *san_touched(const san *s, uint32_t watch) { return s->watches[watch].touched; }

// One record a cause: the same instruction doing the same wrong thing to the same owner.
static void convict(san *s, uc_engine *uc, uint32_t kind, uint32_t address, uint32_t expected,
                    uint32_t owner) {
  uint32_t pc = 0;
  (void)s->reg_read(uc, SAN_PC, &pc);
  for (uint32_t i = 0; i < s->record_count; i++) {
    san_record *r = &s->records[i];
    if (r->pc == pc && r->kind == kind && r->bucket == *s->bucket && r->expected == expected) {
      r->count++;
      return;
    }
  }
  if (s->record_count == SAN_RECORDS) {
    s->lost++;
    return;
  }
  s->records[s->record_count++] =
      (san_record){*s->bucket, kind, address, pc, expected, owner, 1};
}

static void use(san_region *r, uint32_t address) {
  if (address - r->start >= r->used) r->used = address - r->start + 1;
}

static void write_byte(san *s, uc_engine *uc, san_watch *w, uint32_t address) {
  const uint32_t b = *s->bucket;
  for (uint32_t i = s->first[b]; i < s->first[b + 1]; i++) {
    san_region *r = &s->regions[i];
    if (r->kind != SAN_READ && address >= r->start && address < r->end) {
      use(r, address);
      w->owner[address - w->start] = (uint16_t)r->owner;
      return;
    }
  }
  convict(s, uc, SAN_WRITE_OUTSIDE, address, 0, w->owner[address - w->start]);
}

static void read_byte(san *s, uc_engine *uc, const san_watch *w, uint32_t address) {
  const uint32_t b = *s->bucket, owner = w->owner[address - w->start];
  san_region *input = NULL, *own = NULL;  // input: one that has lost this byte
  int right = 0;
  for (uint32_t i = s->first[b]; i < s->first[b + 1]; i++) {
    san_region *r = &s->regions[i];
    if (address < r->start || address >= r->end) continue;
    use(r, address);
    if (r->kind == SAN_READ) {
      if (r->owner != owner) {
        input = r;
      } else {
        right = 1;
      }
    } else {
      own = r;
    }
  }
  if (input != NULL) {
    const int taken = own != NULL && own->owner == owner;
    convict(s, uc, owner == 0 ? SAN_UNINITIALIZED : taken ? SAN_OVERWRITTEN : SAN_FOREIGN, address,
            input->owner, owner);
  } else if (right) {
    return;
  } else if (own == NULL) {
    convict(s, uc, SAN_READ_OUTSIDE, address, 0, owner);
  } else if (own->owner != owner) {
    convict(s, uc, own->kind == SAN_SCRATCH ? SAN_SCRATCH_UNINITIALIZED : SAN_UNINITIALIZED,
            address, own->owner, owner);
  }
}

// A hook for UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE over writable memory.
void san_on_access(uc_engine *uc, int type, uint64_t at, int size, int64_t value, void *user) {
  (void)value;
  san *s = user;
  // Unicorn's way into this hook leaves IT bits set, which would make the next block conditional.
  uint32_t cpsr = 0;
  (void)s->reg_read(uc, SAN_CPSR, &cpsr);
  if ((cpsr & SAN_IT_BITS) != 0) {
    cpsr &= ~SAN_IT_BITS;
    (void)s->reg_write(uc, SAN_CPSR, &cpsr);
  }
  const uint32_t address = (uint32_t)at;
  if (!s->running || *s->bucket == 0) return;
  if (address >= s->stack_low && address < s->stack_high) return;
  for (uint32_t i = 0; i < s->watch_count; i++) {
    san_watch *w = &s->watches[i];
    if (address < w->start || address >= w->start + w->size) continue;
    for (uint32_t a = address; a < address + (uint32_t)size && a < w->start + w->size; a++) {
      w->touched[a - w->start] = 1;
      if (type == SAN_MEM_WRITE) {
        write_byte(s, uc, w, a);
      } else {
        read_byte(s, uc, w, a);
      }
    }
    return;
  }
  if (type == SAN_MEM_WRITE) convict(s, uc, SAN_STRAY_WRITE, address, 0, 0);
}
