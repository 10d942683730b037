// SPDX-License-Identifier: MIT
// The memory simulator: tags, line fills in flight, a sequential prefetcher, busy memories.
#include "memsim.h"

#include <stdlib.h>
#include <string.h>

enum { FILLS = 2, READS = 32 };

typedef struct {
  uint32_t tag;      // line address, MS_NONE when empty
  uint32_t valid;    // bit per sector
  uint32_t used;     // stamp for replacement
  uint32_t dirty;
} line;

typedef struct {
  ms_cache_config config;
  uint32_t line_shift, sector_shift;
  uint32_t stamp, random;
  line *lines;
} cache;

// A read under way from `start` until `end`.
typedef struct {
  uint64_t start, end;
} span;

// A line on its way: its first beat is there at `start`, the others follow in wrapping order.
typedef struct {
  uint32_t line_address, line_bytes, offset;
  uint64_t start;
} fill;

typedef struct {
  ms_store_config config;
  uint64_t busy;               // until when, fetches that are still to come included
  span reads[READS];           // the recent ones
  uint32_t read_index;
  uint32_t prefetched;         // address of the sector that the prefetcher fetched, or MS_NONE
  uint64_t prefetched_ready;
  uint32_t next;               // address that would continue the last uncached read
  fill fills[FILLS];
  uint32_t fill_index;
} store;

struct ms_sim {
  ms_config config;
  cache caches[MS_CACHES];
  store stores[MS_STORES];
  uint64_t now;
  ms_cost block;               // what is known of the current block
  uint32_t done;               // its data accesses so far
  uint32_t bus;                // of the last data access
  uint32_t end;                // where straight-line code would go on
  uint32_t fetched;            // the sector in the core's fetch buffer
  uint32_t recent_code, recent_data;  // regions last met
  uint32_t bucket, bucket_count;
  ms_totals *totals;
};

uint32_t ms_version(void) { return MS_VERSION; }

static int power_of_two(uint32_t n) { return n && (n & (n - 1)) == 0; }

static uint32_t log2_of(uint32_t power) {
  uint32_t n = 0;
  while (power >>= 1) n++;
  return n;
}

static int config_ok(const ms_config *c) {
  if (c->region_count > MS_REGIONS || c->cache_count > MS_CACHES || c->store_count > MS_STORES)
    return 0;
  for (uint32_t i = 0; i < c->cache_count; i++) {
    const ms_cache_config *k = &c->caches[i];
    if (!power_of_two(k->line_bytes) || !power_of_two(k->sector_bytes) || !power_of_two(k->sets) ||
        k->ways == 0 || k->sector_bytes > k->line_bytes || k->line_bytes / k->sector_bytes > 32)
      return 0;
  }
  for (uint32_t i = 0; i < c->store_count; i++)
    if (!power_of_two(c->stores[i].beat_bytes)) return 0;
  for (uint32_t i = 0; i < c->region_count; i++) {
    const ms_region_config *r = &c->regions[i];
    if (r->store != MS_NONE && r->store >= c->store_count) return 0;
    if (r->fetch_cache != MS_NONE && r->fetch_cache >= c->cache_count) return 0;
    if (r->data_cache != MS_NONE && r->data_cache >= c->cache_count) return 0;
  }
  return 1;
}

ms_sim *ms_new(const ms_config *config, uint32_t bucket_count) {
  if (!config_ok(config) || bucket_count == 0) return NULL;
  ms_sim *sim = calloc(1, sizeof *sim);
  if (sim == NULL) return NULL;
  sim->config = *config;
  sim->bucket_count = bucket_count;
  sim->totals = calloc(bucket_count, sizeof(ms_totals));
  int complete = sim->totals != NULL;
  for (uint32_t i = 0; i < config->cache_count; i++) {
    cache *c = &sim->caches[i];
    c->config = config->caches[i];
    c->line_shift = log2_of(c->config.line_bytes);
    c->sector_shift = log2_of(c->config.sector_bytes);
    c->lines = calloc((size_t)c->config.ways * c->config.sets, sizeof(line));
    complete = complete && c->lines != NULL;
  }
  for (uint32_t i = 0; i < config->store_count; i++) sim->stores[i].config = config->stores[i];
  if (!complete) {
    ms_free(sim);
    return NULL;
  }
  ms_reset(sim);
  return sim;
}

void ms_free(ms_sim *sim) {
  if (sim == NULL) return;
  for (uint32_t i = 0; i < MS_CACHES; i++) free(sim->caches[i].lines);
  free(sim->totals);
  free(sim);
}

void ms_reset(ms_sim *sim) {
  for (uint32_t i = 0; i < sim->config.cache_count; i++) {
    cache *c = &sim->caches[i];
    for (uint32_t k = 0; k < c->config.ways * c->config.sets; k++) {
      memset(&c->lines[k], 0, sizeof(line));
      c->lines[k].tag = MS_NONE;
    }
    c->stamp = 0;
    c->random = 1;
  }
  for (uint32_t i = 0; i < sim->config.store_count; i++) {
    store *s = &sim->stores[i];
    s->busy = s->prefetched_ready = 0;
    memset(s->reads, 0, sizeof s->reads);
    s->read_index = 0;
    s->prefetched = s->next = MS_NONE;
    for (uint32_t k = 0; k < FILLS; k++) s->fills[k] = (fill){MS_NONE, 1, 0, 0};
    s->fill_index = 0;
  }
  sim->now = 0;
  memset(&sim->block, 0, sizeof sim->block);
  sim->done = sim->bus = 0;
  sim->end = sim->fetched = MS_NONE;
  sim->recent_code = sim->recent_data = 0;
  sim->bucket = 0;
  memset(sim->totals, 0, sim->bucket_count * sizeof(ms_totals));
}

void ms_bucket(ms_sim *sim, uint32_t bucket) {
  sim->bucket = bucket < sim->bucket_count ? bucket : 0;
}

uint64_t ms_now(const ms_sim *sim) { return sim->now + sim->block.core; }

const ms_totals *ms_result(const ms_sim *sim, uint32_t bucket) {
  return bucket < sim->bucket_count ? &sim->totals[bucket] : NULL;
}

static const ms_region_config *region_at(ms_sim *sim, uint32_t address, uint32_t *recent) {
  const ms_region_config *r = &sim->config.regions[*recent];
  if (sim->config.region_count && address - r->origin < r->size) return r;
  for (uint32_t i = 0; i < sim->config.region_count; i++) {
    r = &sim->config.regions[i];
    if (address - r->origin < r->size) {
      *recent = i;
      return r;
    }
  }
  return NULL;
}

// -- tags --------------------------------------------------------------------------------------

static line *set_of(cache *c, uint32_t address) {
  const uint32_t set = (address >> c->line_shift) & (c->config.sets - 1);
  return &c->lines[(size_t)set * c->config.ways];
}

static uint32_t sector_bit(const cache *c, uint32_t address) {
  return 1u << ((address & (c->config.line_bytes - 1)) >> c->sector_shift);
}

// The line that holds the sector of `address`, or NULL.
static line *look_up(cache *c, uint32_t address) {
  line *set = set_of(c, address);
  const uint32_t tag = address & ~(c->config.line_bytes - 1);
  for (uint32_t i = 0; i < c->config.ways; i++) {
    if (set[i].tag == tag && (set[i].valid & sector_bit(c, address))) {
      set[i].used = ++c->stamp;
      return &set[i];
    }
  }
  return NULL;
}

// Makes the sector of `address` valid; returns its line. `evicted_dirty` tells what was thrown out.
static line *insert(cache *c, uint32_t address, uint32_t *evicted_dirty) {
  line *set = set_of(c, address);
  const uint32_t tag = address & ~(c->config.line_bytes - 1);
  line *victim = NULL;
  *evicted_dirty = 0;
  for (uint32_t i = 0; i < c->config.ways; i++)
    if (set[i].tag == tag) victim = &set[i];
  if (victim == NULL) {
    for (uint32_t i = 0; i < c->config.ways && victim == NULL; i++)
      if (set[i].tag == MS_NONE) victim = &set[i];
  }
  if (victim == NULL && c->config.random) {
    c->random = c->random * 1103515245u + 12345u;
    victim = &set[(c->random >> 16) % c->config.ways];
  }
  if (victim == NULL) {
    victim = &set[0];
    for (uint32_t i = 1; i < c->config.ways; i++)
      if (set[i].used < victim->used) victim = &set[i];
  }
  if (victim->tag != tag) {
    *evicted_dirty = victim->tag != MS_NONE && victim->dirty;
    victim->tag = tag;
    victim->valid = 0;
    victim->dirty = 0;
  }
  victim->valid |= sector_bit(c, address);
  victim->used = ++c->stamp;
  return victim;
}

// -- memories ----------------------------------------------------------------------------------

// How long the core waits at `t` for a beat of a line that is still on its way.
static uint64_t wait_for_fill(const store *s, uint32_t address, uint64_t t) {
  for (uint32_t i = 0; i < FILLS; i++) {
    const fill *f = &s->fills[i];
    if (f->line_address == MS_NONE || address - f->line_address >= f->line_bytes) continue;
    const uint32_t bytes = s->config.beat_bytes;
    const uint32_t beats = f->line_bytes > bytes ? f->line_bytes / bytes : 1;
    const uint32_t offset = (address - f->line_address) / bytes;
    const uint32_t order = (offset + beats - f->offset) % beats;
    const uint64_t ready = f->start + (uint64_t)order * s->config.beat;
    return ready > t ? ready - t : 0;
  }
  return 0;
}

// When a data access that comes at `t` can start: after the read that is under way then. The
// fetches of a block are simulated before its data accesses, so `busy` may lie ahead of `t`.
static uint64_t start_of_data(const store *s, uint64_t t) {
  for (uint32_t i = 0; i < READS; i++)
    if (s->reads[i].start <= t && t < s->reads[i].end) return s->reads[i].end;
  return t;
}

static void occupy(store *s, uint64_t start, uint64_t end) {
  s->reads[s->read_index] = (span){start, end};
  s->read_index = (s->read_index + 1) % READS;
  if (end > s->busy) s->busy = end;
}

// Reads `bytes` (a sector or a line) from `start`, critical beat first; returns when that is there.
static uint64_t read_store(store *s, uint32_t address, uint32_t bytes, uint64_t start) {
  const ms_store_config *k = &s->config;
  const uint32_t beats = bytes > k->beat_bytes ? bytes / k->beat_bytes : 1;
  const uint64_t first = start + k->first;
  occupy(s, start, start + k->occupancy + (uint64_t)(beats - 1) * k->beat);
  if (beats > 1) {
    const uint32_t base = address & ~(bytes - 1);
    s->fills[s->fill_index] = (fill){base, bytes, (address - base) / k->beat_bytes, first};
    s->fill_index = (s->fill_index + 1) % FILLS;
  }
  return first;
}

static void prefetch(ms_sim *sim, const ms_region_config *r, uint32_t address, uint64_t t) {
  store *s = &sim->stores[r->store];
  if (!s->config.prefetch || s->prefetched == address) return;
  if (address - r->origin >= r->size) return;
  if (r->fetch_cache != MS_NONE && look_up(&sim->caches[r->fetch_cache], address)) return;
  const uint64_t start = s->busy > t ? s->busy : t;
  s->prefetched = address;
  occupy(s, start, start + s->config.occupancy);
  s->prefetched_ready = start + s->config.first;
}

static void charge(ms_sim *sim, const store *s, int64_t *part, uint64_t stall) {
  if (s->config.external) {
    sim->totals[sim->bucket].external += (int64_t)stall;
  } else {
    *part += (int64_t)stall;
  }
}

// -- events ------------------------------------------------------------------------------------

static int filling(const store *s, uint32_t address) {
  for (uint32_t i = 0; i < FILLS; i++) {
    const fill *f = &s->fills[i];
    if (f->line_address != MS_NONE && address - f->line_address < f->line_bytes) return 1;
  }
  return 0;
}

// When the core comes to `address` in a block: its share of the block's time, after `stalls`.
static uint64_t time_at(const ms_sim *sim, uint32_t pc, uint32_t size, uint32_t address,
                        uint64_t stalls) {
  const uint32_t offset = address > pc ? address - pc : 0;
  return sim->now + stalls + (uint64_t)sim->block.core * offset / size;
}

// The stall of fetching the sector at `address` at time `t`.
static uint64_t fetch_sector(ms_sim *sim, const ms_region_config *r, uint32_t address,
                             uint32_t bytes, uint64_t t, int hit) {
  store *s = &sim->stores[r->store];
  cache *c = r->fetch_cache == MS_NONE ? NULL : &sim->caches[r->fetch_cache];
  ms_totals *totals = &sim->totals[sim->bucket];
  uint64_t stall;
  uint32_t dirty;
  if (hit) {
    stall = wait_for_fill(s, address, t);
  } else if (s->prefetched == address) {
    stall = s->prefetched_ready > t ? s->prefetched_ready - t : 0;
    s->prefetched = MS_NONE;
    if (c != NULL) (void)insert(c, address, &dirty);
  } else {
    totals->fetch_misses++;
    stall = read_store(s, address, bytes, s->busy > t ? s->busy : t) - t;
    if (c != NULL) (void)insert(c, address, &dirty);
  }
  prefetch(sim, r, address + bytes, t + stall);
  return stall;
}

void ms_block(ms_sim *sim, uint32_t pc, uint32_t size, const ms_cost *cost) {
  const uint32_t core = cost->core;
  const ms_region_config *r = region_at(sim, pc, &sim->recent_code);
  const int jumped = pc != sim->end;
  sim->now += sim->block.core;
  sim->block = *cost;
  sim->done = 0;
  sim->end = pc + size;
  sim->totals[sim->bucket].core += core;
  if (r == NULL) return;
  if (jumped && r->jump) {
    sim->totals[sim->bucket].fetch += r->jump;
    sim->now += r->jump;
  }
  if (r->store == MS_NONE || size == 0) return;
  store *s = &sim->stores[r->store];
  const uint32_t bytes = r->fetch_cache == MS_NONE ? s->config.beat_bytes
                                                   : sim->caches[r->fetch_cache].config.sector_bytes;
  if (jumped) sim->fetched = MS_NONE;
  cache *c = r->fetch_cache == MS_NONE ? NULL : &sim->caches[r->fetch_cache];
  uint64_t stalls = 0;
  const line *last = NULL;  // the line of the sector before
  for (uint32_t at = pc & ~(bytes - 1); at < pc + size; at += bytes) {
    if (at == sim->fetched) continue;
    int hit = 0;
    if (c != NULL) {
      if (last == NULL || last->tag != (at & ~(c->config.line_bytes - 1)) ||
          !(last->valid & sector_bit(c, at)))
        last = look_up(c, at);
      hit = last != NULL;
    }
    sim->totals[sim->bucket].fetch_reads++;
    sim->fetched = at;
    if (hit && !s->config.prefetch && !filling(s, at)) continue;
    stalls += fetch_sector(sim, r, at, bytes, time_at(sim, pc, size, at, stalls), hit);
  }
  sim->now += stalls;
  charge(sim, s, &sim->totals[sim->bucket].fetch, stalls);
}

// The stall of a read that no cache serves.
static uint64_t read_uncached(store *s, uint32_t address, uint64_t t) {
  const uint32_t unit = address & ~(s->config.beat_bytes - 1);
  uint64_t stall;
  if (unit == s->next) {
    const uint64_t start = start_of_data(s, t);
    stall = start + s->config.sequential - t;
    occupy(s, start, t + stall);
  } else {
    stall = read_store(s, address, s->config.beat_bytes, start_of_data(s, t)) - t;
  }
  s->next = unit + s->config.beat_bytes;
  return stall;
}

static uint64_t write_through(store *s, uint64_t t) {
  const uint64_t start = s->busy > t ? s->busy : t;
  s->busy = start + s->config.write;
  return s->busy > t + s->config.write_slack ? s->busy - t - s->config.write_slack : 0;
}

static uint64_t access_cached(ms_sim *sim, store *s, cache *c, uint32_t address, int write,
                              uint64_t t) {
  ms_totals *totals = &sim->totals[sim->bucket];
  line *found = look_up(c, address);
  uint64_t stall = 0;
  uint32_t dirty = 0;
  if (found != NULL) {
    if (write) {
      found->dirty = 1;
      return 0;
    }
    return wait_for_fill(s, address, t);
  }
  if (write && !c->config.write_allocate) {
    totals->write_misses++;
    return write_through(s, t);
  }
  stall = read_store(s, address, c->config.sector_bytes, start_of_data(s, t)) - t;
  found = insert(c, address, &dirty);
  if (dirty) s->busy += s->config.write;
  if (!write) {
    totals->read_misses++;
    return stall;
  }
  totals->write_misses++;
  found->dirty = 1;  // the store buffer waits for the line, the core goes on
  return s->busy > t + s->config.write_slack ? s->busy - t - s->config.write_slack : 0;
}

void ms_access(ms_sim *sim, uint32_t address, uint32_t size, int write) {
  ms_totals *totals = &sim->totals[sim->bucket];
  const ms_region_config *r = region_at(sim, address, &sim->recent_data);
  if (size && (address & (size - 1)) && size <= 4) totals->unaligned++;
  const uint32_t k = sim->done++;
  const uint32_t bus = r == NULL ? 0 : r->bus;
  if (bus != sim->bus) {
    sim->bus = bus;
    if (k < 32 * MS_CHAINED && (sim->block.chained[k / 32] >> (k % 32) & 1u)) {
      sim->now += sim->config.bus_change;
      totals->data += sim->config.bus_change;
    }
  }
  if (r == NULL) return;
  if (r->data) {
    sim->now += (uint64_t)(int64_t)r->data;
    totals->data += r->data;
  }
  if (r->store == MS_NONE) return;
  store *s = &sim->stores[r->store];
  const uint32_t accesses = sim->block.accesses;
  const uint64_t share = sim->done > accesses ? accesses : sim->done;
  const uint64_t t = sim->now + sim->block.core * share / (accesses + 1u);
  uint64_t stall = 0;
  if (write) {
    totals->data_writes++;
  } else {
    totals->data_reads++;
  }
  if (r->data_cache != MS_NONE) {
    stall = access_cached(sim, s, &sim->caches[r->data_cache], address, write, t);
  } else if (write) {
    stall = write_through(s, t);
  } else {
    totals->read_misses++;
    stall = read_uncached(s, address, t);
  }
  sim->now += stall;
  charge(sim, s, &totals->data, stall);
}
