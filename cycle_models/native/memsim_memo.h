// SPDX-License-Identifier: MIT
// What fetching a block took before, for flash behind a buffer of two lines: code streams through
// that, so loops meet the same few states again and again, and need not be simulated each time.
#ifndef CYCLE_MODELS_MEMSIM_MEMO_H
#define CYCLE_MODELS_MEMSIM_MEMO_H

#include "memsim_store.h"
#include "memsim_tags.h"

enum { MEMOS = 512, MEMO_LINES = 2 };

// All that the fetches of a block depend on; times from now on, 0 for what is past.
typedef struct {
  const ms_region_config *region;
  uint32_t pc, size, core, at;
  uint32_t prefetched, first_is_older;
  uint32_t tags[MEMO_LINES], valid[MEMO_LINES];
  uint64_t ready, busy;
} memo_key;

struct memo {
  memo_key before, after;  // of `after` what changes: prefetched, lines, ready, busy
  uint64_t took;
  uint32_t misses, reads;
  span spans[READS];       // of these reads, from now on
};

// Whether fetches through `c` from `s` are worth remembering. Fills of several beats are not.
static int memo_fits(const store *s, const cache *c) {
  return s->config.prefetch && c->config.ways == MEMO_LINES && c->config.sets == 1 &&
         c->config.sector_bytes <= s->config.beat_bytes;
}

static uint64_t from_now(uint64_t time, uint64_t now) { return time > now ? time - now : 0; }

// The state of memory and buffer; which block is left open.
static memo_key memo_state(const store *s, const cache *c, uint64_t now) {
  memo_key k;
  memset(&k, 0, sizeof k);
  k.prefetched = s->prefetched;
  k.ready = s->prefetched == MS_NONE ? 0 : from_now(s->prefetched_ready, now);
  k.busy = from_now(s->busy, now);
  k.first_is_older = c->lines[0].used <= c->lines[1].used;
  for (uint32_t i = 0; i < MEMO_LINES; i++) {
    k.tags[i] = c->lines[i].tag;
    k.valid[i] = c->lines[i].valid;
  }
  return k;
}

// Where this is kept, or something else that wants the same place.
static memo *memo_slot(const store *s, const memo_key *k) {
  const uint32_t hash = (k->pc >> 1) * 2654435761u + k->tags[0] * 40503u + (uint32_t)k->ready;
  return &s->memos[(hash >> 7) % MEMOS];
}

static void memo_apply(const memo *m, store *s, cache *c, uint64_t now) {
  for (uint32_t k = 0; k < m->reads; k++)
    occupy(s, now + m->spans[k].start, now + m->spans[k].end);
  s->prefetched = m->after.prefetched;
  s->prefetched_ready = now + m->after.ready;
  for (uint32_t i = 0; i < MEMO_LINES; i++) {
    c->lines[i].tag = m->after.tags[i];
    c->lines[i].valid = m->after.valid[i];
  }
  const uint32_t older = m->after.first_is_older ? 0 : 1;
  c->lines[older].used = ++c->stamp;
  c->lines[1 - older].used = ++c->stamp;
}

// Keeps what happened since `before`, at `now`: a stall, and reads, some for misses.
static void memo_keep(memo *m, const memo_key *before, const store *s, const cache *c,
                      uint64_t now, uint64_t took, uint32_t misses, uint32_t reads) {
  if (reads > READS) return;  // not all of them are still known
  m->before = *before;
  m->after = memo_state(s, c, now);
  m->took = took;
  m->misses = misses;
  m->reads = reads;
  for (uint32_t k = 0; k < reads; k++) {
    const span *r = &s->reads[(s->read_index + READS - reads + k) % READS];
    m->spans[k] = (span){r->start - now, r->end - now};
  }
}

#endif
