// SPDX-License-Identifier: MIT
// Memories that take their time: what they are busy with, lines on their way, a prefetched sector.
#ifndef CYCLE_MODELS_MEMSIM_STORE_H
#define CYCLE_MODELS_MEMSIM_STORE_H

#include "memsim.h"

enum { FILLS = 2, READS = 32 };

// A read under way from `start` until `end`.
typedef struct {
  uint64_t start, end;
} span;

// A line on its way: its first beat is there at `start`, the others follow in wrapping order.
typedef struct {
  uint32_t line_address, line_bytes, offset;
  uint64_t start;
} fill;

typedef struct memo memo;

typedef struct {
  ms_store_config config;
  memo *memos;          // NULL where nothing is remembered
  int backwards;        // time may go back a little
  uint64_t busy;        // until when, fetches that are still to come included
  uint64_t reads_end;   // when the last of the reads below ends
  span reads[READS];    // the recent ones
  uint32_t read_index;
  uint32_t live;        // which of them may still be under way, a bit each
  uint32_t prefetched;  // address of the sector that the prefetcher fetched, or MS_NONE
  uint64_t prefetched_ready;
  uint32_t next;        // address that would continue the last uncached read
  fill fills[FILLS];
  uint32_t fill_index;
  uint64_t filled;      // when the last beat of the last fill is there
} store;

static void store_reset(store *s) {
  *s = (store){.config = s->config, .memos = s->memos, .backwards = s->backwards, .prefetched = MS_NONE, .next = MS_NONE};
  for (uint32_t k = 0; k < FILLS; k++) s->fills[k] = (fill){MS_NONE, 1, 0, 0};
}

static inline uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

// Most quotients here are of small numbers, which divide several times as fast.
static inline uint64_t quotient(uint64_t a, uint32_t b) {
  return a >> 32 ? a / b : (uint32_t)a / b;
}

static inline uint32_t lowest_bit(uint32_t n) {
#ifdef __GNUC__
  return (uint32_t)__builtin_ctz(n);
#else
  uint32_t i = 0;
  while (!(n >> i & 1u)) i++;
  return i;
#endif
}

// How long the core waits at `t` for a beat of a line that is still on its way.
static inline uint64_t wait_for_fill(const store *s, uint32_t address, uint64_t t) {
  if (s->filled <= t) return 0;
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
// Where time only goes on, reads that ended are forgotten.
static uint64_t start_of_data(store *s, uint64_t t) {
  if (s->reads_end <= t) return t;
  for (uint32_t rest = s->live; rest; rest &= rest - 1) {
    const uint32_t i = lowest_bit(rest);
    const span *r = &s->reads[i];
    if (r->end <= t) {
      if (!s->backwards) s->live &= ~(1u << i);
    } else if (r->start <= t) {
      return r->end;
    }
  }
  return t;
}

static inline void occupy(store *s, uint64_t start, uint64_t end) {
  s->reads[s->read_index] = (span){start, end};
  s->live |= 1u << s->read_index;
  s->read_index = (s->read_index + 1) % READS;
  s->reads_end = later(s->reads_end, end);
  s->busy = later(s->busy, end);
}

// Reads `bytes` (a sector or a line) from `start`, critical beat first; returns when that is there.
static inline uint64_t read_store(store *s, uint32_t address, uint32_t bytes, uint64_t start) {
  const ms_store_config *k = &s->config;
  const uint32_t beats = bytes > k->beat_bytes ? bytes / k->beat_bytes : 1;
  const uint64_t first = start + k->first;
  const uint64_t others = (uint64_t)(beats - 1) * k->beat;
  occupy(s, start, start + k->occupancy + others);
  if (beats > 1) {
    const uint32_t base = address & ~(bytes - 1);
    s->fills[s->fill_index] = (fill){base, bytes, (address - base) / k->beat_bytes, first};
    s->fill_index = (s->fill_index + 1) % FILLS;
    s->filled = later(s->filled, first + others);
  }
  return first;
}

// The stall of a read that no cache serves.
static uint64_t read_uncached(store *s, uint32_t address, uint64_t t) {
  const uint32_t unit = address & ~(s->config.beat_bytes - 1);
  const uint64_t start = start_of_data(s, t);
  uint64_t ready;
  if (unit == s->next) {
    ready = start + s->config.sequential;
    occupy(s, start, ready);
  } else {
    ready = read_store(s, address, s->config.beat_bytes, start);
  }
  s->next = unit + s->config.beat_bytes;
  return ready - t;
}

// The stall of a write that goes past any cache, behind those that still wait in the buffer.
static uint64_t write_through(store *s, uint64_t t) {
  s->busy = later(s->busy, t) + s->config.write;
  return s->busy > t + s->config.write_slack ? s->busy - t - s->config.write_slack : 0;
}

#endif
