// SPDX-License-Identifier: MIT
// Set-associative tag stores: which sectors of which lines a cache holds.
#ifndef CYCLE_MODELS_MEMSIM_TAGS_H
#define CYCLE_MODELS_MEMSIM_TAGS_H

#include <stdlib.h>
#include <string.h>

#include "memsim.h"

enum { RECENT = 256 };

typedef struct {
  uint32_t tag;    // line address, MS_NONE when empty
  uint32_t valid;  // bit per sector
  uint32_t used;   // stamp for replacement, 0 when empty
  uint32_t dirty;
} line;

typedef struct {
  ms_cache_config config;
  uint32_t line_shift, sector_shift, tag_mask, set_mask, every_sector;
  uint32_t stamp, random;
  line *lines;
  line *recent[RECENT];  // where a line of many ways was met last, by its number; never NULL
} cache;

static int power_of_two(uint32_t n) { return n && (n & (n - 1)) == 0; }

static uint32_t log2_of(uint32_t power) {
  uint32_t n = 0;
  while (power >>= 1) n++;
  return n;
}

static void cache_reset(cache *c) {
  for (uint32_t k = 0; k < c->config.ways * c->config.sets; k++)
    c->lines[k] = (line){MS_NONE, 0, 0, 0};
  for (uint32_t k = 0; k < RECENT; k++) c->recent[k] = c->lines;
  c->stamp = 1;
  c->random = 1;
}

// Returns 0 when there is no memory.
static int cache_init(cache *c, const ms_cache_config *config) {
  c->config = *config;
  c->line_shift = log2_of(config->line_bytes);
  c->sector_shift = log2_of(config->sector_bytes);
  c->tag_mask = ~(config->line_bytes - 1);
  c->set_mask = config->sets - 1;
  c->every_sector = (2u << (config->line_bytes / config->sector_bytes - 1)) - 1;
  c->lines = calloc((size_t)config->ways * config->sets, sizeof(line));
  return c->lines != NULL;
}

static inline uint32_t tag_of(const cache *c, uint32_t address) {
  return address & c->tag_mask;
}

static inline line *set_of(cache *c, uint32_t address) {
  return &c->lines[(address >> c->line_shift & c->set_mask) * c->config.ways];
}

static inline uint32_t sector_bit(const cache *c, uint32_t address) {
  return 1u << ((address & ~c->tag_mask) >> c->sector_shift);
}

// `l` is now the line that was used last.
static inline void touch(cache *c, line *l) {
  if (l->used != c->stamp) l->used = ++c->stamp;
}

// The line of `address`, whatever is valid in it, or NULL. At most one line has a tag.
static inline line *find(cache *c, uint32_t address) {
  const uint32_t tag = tag_of(c, address), ways = c->config.ways;
  line **recent = &c->recent[(address >> c->line_shift) % RECENT];
  if (ways > 4 && (*recent)->tag == tag) return *recent;
  line *set = set_of(c, address);
  for (uint32_t i = 0; i < ways; i++)
    if (set[i].tag == tag) return ways > 4 ? *recent = &set[i] : &set[i];
  return NULL;
}

// Whether `l`, the line of `address` if there is one, has its sector.
static inline int holds(const cache *c, const line *l, uint32_t address) {
  return l != NULL && (l->valid & sector_bit(c, address)) != 0;
}

static inline line *victim_for(cache *c, uint32_t address) {
  line *set = set_of(c, address);
  if (c->config.random) {
    for (uint32_t i = 0; i < c->config.ways; i++)
      if (set[i].tag == MS_NONE) return &set[i];
    c->random = c->random * 1103515245u + 12345u;
    return &set[(c->random >> 16) % c->config.ways];
  }
  line *oldest = &set[0];
  for (uint32_t i = 1; i < c->config.ways; i++)
    if (set[i].used < oldest->used) oldest = &set[i];
  return oldest;
}

// Makes the sector of `address` valid in `l`, its line, or in the place of another; returns it.
// `dirty` is set when what was thrown out has to be written back.
static inline line *insert(cache *c, uint32_t address, line *l, int *dirty) {
  const uint32_t bit = sector_bit(c, address);
  if (l != NULL) {
    l->valid |= bit;
    touch(c, l);
    return l;
  }
  l = victim_for(c, address);
  if (dirty != NULL) *dirty = l->tag != MS_NONE && l->dirty;
  *l = (line){tag_of(c, address), bit, ++c->stamp, 0};
  return l;
}

#endif
