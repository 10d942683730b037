// SPDX-License-Identifier: MIT
// The memory simulator: what a block's fetches and data accesses cost.
#include "memsim.h"

#include "memsim_memo.h"
#include "memsim_store.h"
#include "memsim_tags.h"

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
    const int made = cache_init(&sim->caches[i], &config->caches[i]);
    complete = complete && made;
  }
  int backwards = 0;
  for (uint32_t i = 0; i < config->region_count; i++)
    backwards = backwards || config->regions[i].data < 0;
  for (uint32_t i = 0; i < config->store_count; i++) {
    sim->stores[i].config = config->stores[i];
    sim->stores[i].backwards = backwards;
  }
  for (uint32_t i = 0; i < config->region_count; i++) {
    const ms_region_config *r = &config->regions[i];
    if (r->store == MS_NONE || r->fetch_cache == MS_NONE) continue;
    store *s = &sim->stores[r->store];
    if (s->memos == NULL && memo_fits(s, &sim->caches[r->fetch_cache]))
      s->memos = calloc(MEMOS, sizeof(memo));  // without it, fetches only take longer
  }
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
  for (uint32_t i = 0; i < MS_STORES; i++) free(sim->stores[i].memos);
  free(sim->totals);
  free(sim);
}

void ms_reset(ms_sim *sim) {
  for (uint32_t i = 0; i < sim->config.cache_count; i++) cache_reset(&sim->caches[i]);
  for (uint32_t i = 0; i < sim->config.store_count; i++) store_reset(&sim->stores[i]);
  sim->now = 0;
  memset(&sim->block, 0, sizeof sim->block);
  sim->done = sim->bus = 0;
  sim->end = sim->fetched = MS_NONE;
  sim->recent_code = sim->recent_data = 0;
  sim->bucket = 0;
  memset(sim->totals, 0, sim->bucket_count * sizeof(ms_totals));
}

static void set_bucket(ms_sim *sim, uint32_t bucket) {
  sim->bucket = bucket < sim->bucket_count ? bucket : 0;
}

void ms_bucket(ms_sim *sim, uint32_t bucket) { set_bucket(sim, bucket); }

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

static void charge(ms_sim *sim, const store *s, int64_t *part, uint64_t stall) {
  if (s->config.external) {
    sim->totals[sim->bucket].external += (int64_t)stall;
  } else {
    *part += (int64_t)stall;
  }
}

static void start_prefetch(store *s, uint32_t address, uint64_t t) {
  const uint64_t start = later(s->busy, t);
  s->prefetched = address;
  s->prefetched_ready = start + s->config.first;
  occupy(s, start, start + s->config.occupancy);
}

// Whether the cache holds all sectors from `at` to `last`. They are touched as far as it does.
static int holds_all(cache *c, uint32_t at, uint32_t last) {
  while (tag_of(c, at) != tag_of(c, last)) {
    line *l = find(c, at);
    const uint32_t wanted = c->every_sector & ~(sector_bit(c, at) - 1);
    if (l == NULL || (l->valid & wanted) != wanted) return 0;
    touch(c, l);
    at = tag_of(c, at) + c->config.line_bytes;
  }
  line *l = find(c, last);
  const uint32_t wanted = 2 * sector_bit(c, last) - sector_bit(c, at);
  if (l == NULL || (l->valid & wanted) != wanted) return 0;
  touch(c, l);
  return 1;
}

// Whether fetching the sectors from `at` to `last` takes no time and lets the prefetcher sleep.
static int fetch_at_once(ms_sim *sim, const ms_region_config *r, uint32_t at, uint32_t last) {
  const store *s = &sim->stores[r->store];
  cache *c = &sim->caches[r->fetch_cache];
  if (s->filled > sim->now) return 0;
  if (s->config.prefetch) {
    last += c->config.sector_bytes;
    if (s->prefetched - at <= last - at || last - r->origin >= r->size) return 0;
  }
  return holds_all(c, at, last);
}

// Fetches the sectors from `at` to `last` in order; after each one the prefetcher looks for the
// next. Returns the stall.
static uint64_t fetch_in_order(ms_sim *sim, const ms_region_config *r, uint32_t pc, uint32_t size,
                               uint32_t at, uint32_t last) {
  store *s = &sim->stores[r->store];
  cache *c = r->fetch_cache == MS_NONE ? NULL : &sim->caches[r->fetch_cache];
  ms_totals *totals = &sim->totals[sim->bucket];
  const uint32_t bytes = c == NULL ? s->config.beat_bytes : c->config.sector_bytes;
  const uint32_t core = sim->block.core, prefetches = s->config.prefetch;
  uint64_t now = sim->now;
  line *l = c == NULL ? NULL : find(c, at);
  int held = holds(c, l, at);
  while (at <= last) {
    // The core comes to it after its share of the block's time.
    const uint64_t share = at > pc ? quotient((uint64_t)core * (at - pc), size) : 0;
    const uint64_t t = now + share;
    if (held) {
      touch(c, l);
      now += wait_for_fill(s, at, t);
    } else {
      uint64_t ready;
      if (s->prefetched == at) {
        ready = s->prefetched_ready;
        s->prefetched = MS_NONE;
      } else {
        ready = read_store(s, at, bytes, later(s->busy, t));
        totals->fetch_misses++;
        totals->reads++;
      }
      if (c != NULL) l = insert(c, at, l, NULL);
      if (ready > t) now += ready - t;
    }
    at += bytes;
    if (c != NULL && (l == NULL || l->tag != tag_of(c, at))) l = find(c, at);
    held = holds(c, l, at);
    if (!prefetches || s->prefetched == at || at - r->origin >= r->size) continue;
    if (held) {
      touch(c, l);
    } else {
      start_prefetch(s, at, now + share);
      totals->reads++;
    }
  }
  return now - sim->now;
}

// The same, from memory where the same block met the same state before.
static uint64_t fetch_as_before(ms_sim *sim, const ms_region_config *r, uint32_t pc, uint32_t size,
                                uint32_t at, uint32_t last) {
  store *s = &sim->stores[r->store];
  cache *c = &sim->caches[r->fetch_cache];
  ms_totals *totals = &sim->totals[sim->bucket];
  memo_key key = memo_state(s, c, sim->now);
  key.region = r;
  key.pc = pc;
  key.size = size;
  key.core = sim->block.core;
  key.at = at;
  memo *m = memo_slot(s, &key);
  if (memcmp(&m->before, &key, sizeof key) == 0) {
    memo_apply(m, s, c, sim->now);
    totals->fetch_misses += m->misses;
    totals->reads += m->reads;
    return m->took;
  }
  const uint64_t misses = totals->fetch_misses, reads = totals->reads;
  const uint64_t took = fetch_in_order(sim, r, pc, size, at, last);
  memo_keep(m, &key, s, c, sim->now, took, (uint32_t)(totals->fetch_misses - misses),
            (uint32_t)(totals->reads - reads));
  return took;
}

static void fetch_block(ms_sim *sim, const ms_region_config *r, uint32_t pc, uint32_t size) {
  store *s = &sim->stores[r->store];
  cache *c = r->fetch_cache == MS_NONE ? NULL : &sim->caches[r->fetch_cache];
  const uint32_t bytes = c == NULL ? s->config.beat_bytes : c->config.sector_bytes;
  const uint32_t last = (pc + size - 1) & ~(bytes - 1);
  uint32_t at = pc & ~(bytes - 1);
  if (at == sim->fetched) at += bytes;
  if (at > last) return;
  ms_totals *totals = &sim->totals[sim->bucket];
  totals->fetch_reads += (last - at) / bytes + 1;
  sim->fetched = last;
  if (c != NULL && fetch_at_once(sim, r, at, last)) return;
  const int remember = c != NULL && s->memos != NULL && memo_fits(s, c) && s->filled <= sim->now;
  const uint64_t stall = remember ? fetch_as_before(sim, r, pc, size, at, last)
                                  : fetch_in_order(sim, r, pc, size, at, last);
  charge(sim, s, &totals->fetch, stall);
  sim->now += stall;
}


static void simulate_block(ms_sim *sim, uint32_t pc, uint32_t size, const ms_cost *cost) {
  const ms_region_config *r = region_at(sim, pc, &sim->recent_code);
  const int jumped = pc != sim->end;
  sim->now += sim->block.core;
  sim->block = *cost;
  sim->done = 0;
  sim->end = pc + size;
  sim->totals[sim->bucket].core += cost->core;
  if (r == NULL) return;
  if (jumped && r->jump) {
    sim->totals[sim->bucket].fetch += r->jump;
    sim->now += r->jump;
  }
  if (r->store == MS_NONE || size == 0) return;
  if (jumped) sim->fetched = MS_NONE;
  fetch_block(sim, r, pc, size);
}

// The exported functions are calls of static ones, which a feed in this translation unit inlines.
void ms_block(ms_sim *sim, uint32_t pc, uint32_t size, const ms_cost *cost) {
  simulate_block(sim, pc, size, cost);
}

// When the core comes to its latest data access: after its share of the block's time.
static uint64_t time_of_access(const ms_sim *sim) {
  const uint32_t accesses = sim->block.accesses;
  const uint32_t share = sim->done > accesses ? accesses : sim->done;
  return sim->now + quotient((uint64_t)sim->block.core * share, accesses + 1u);
}

// A read that misses a cache for instructions and data: the prefetcher behind it serves both.
static uint64_t refill_unified(ms_sim *sim, const ms_region_config *r, uint32_t address, uint64_t t) {
  store *s = &sim->stores[r->store];
  cache *c = &sim->caches[r->data_cache];
  ms_totals *totals = &sim->totals[sim->bucket];
  const uint32_t bytes = c->config.sector_bytes, at = address & ~(bytes - 1);
  uint64_t ready = later(s->prefetched_ready, t + s->config.sequential);
  if (s->prefetched == at) {
    s->prefetched = MS_NONE;
  } else {
    ready = read_store(s, address, bytes, start_of_data(s, t));
    totals->read_misses++;
    totals->reads++;
  }
  (void)insert(c, at, find(c, at), NULL);
  const uint64_t stall = ready > t ? ready - t : 0;
  const uint32_t after = at + bytes;
  if (after - r->origin < r->size && !holds(c, find(c, after), after)) {
    start_prefetch(s, after, t + stall);
    totals->reads++;
  }
  return stall;
}

static uint64_t access_cached(ms_sim *sim, const ms_region_config *r, uint32_t address, int write) {
  store *s = &sim->stores[r->store];
  cache *c = &sim->caches[r->data_cache];
  ms_totals *totals = &sim->totals[sim->bucket];
  line *found = find(c, address);
  const int hit = holds(c, found, address);
  if (hit) touch(c, found);
  if (hit && write) {
    found->dirty = 1;
    return 0;
  }
  if (hit && s->filled <= sim->now) return 0;
  const uint64_t t = time_of_access(sim);
  if (hit) return wait_for_fill(s, address, t);
  if (!write && s->config.prefetch && r->fetch_cache == r->data_cache)
    return refill_unified(sim, r, address, t);
  if (write && !c->config.write_allocate) {
    totals->write_misses++;
    return write_through(s, t);
  }
  const uint64_t start = start_of_data(s, t);
  const uint64_t stall = read_store(s, address, c->config.sector_bytes, start) - t;
  int dirty = 0;
  totals->reads++;
  found = insert(c, address, found, &dirty);
  if (dirty) s->busy += s->config.write;
  if (!write) {
    totals->read_misses++;
    return stall;
  }
  totals->write_misses++;
  found->dirty = 1;  // the store buffer waits for the line, the core goes on
  return s->busy > t + s->config.write_slack ? s->busy - t - s->config.write_slack : 0;
}

static void simulate_access(ms_sim *sim, uint32_t address, uint32_t size, int write) {
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
  uint64_t stall = 0;
  if (write) {
    totals->data_writes++;
  } else {
    totals->data_reads++;
  }
  if (r->data_cache != MS_NONE) {
    stall = access_cached(sim, r, address, write);
  } else if (write) {
    stall = write_through(s, time_of_access(sim));
  } else {
    totals->read_misses++;
    totals->reads++;
    stall = read_uncached(s, address, time_of_access(sim));
  }
  sim->now += stall;
  charge(sim, s, &totals->data, stall);
}

void ms_access(ms_sim *sim, uint32_t address, uint32_t size, int write) {
  simulate_access(sim, address, size, write);
}
