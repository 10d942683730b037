// SPDX-License-Identifier: MIT
// Simulates what memories cost a core: flash accelerators, caches, slow regions. Fed by events.
//
// An engine reports each executed block and each data access, in order. The simulator keeps a clock
// in sixteenths of a core cycle: zero-wait core time, which the caller knows per block, plus the
// stalls found so far. It has no callbacks, no input or output, and needs no engine's headers, so a
// Unicorn hook and a QEMU plugin feed it alike.
#ifndef CYCLE_MODELS_MEMSIM_H
#define CYCLE_MODELS_MEMSIM_H

#include <stdint.h>

enum { MS_NONE = 0xFFFFFFFFu, MS_REGIONS = 16, MS_CACHES = 4, MS_STORES = 8, MS_CHAINED = 4, MS_VERSION = 3 };

// A set-associative tag store; `sector` bytes are valid or not as one. One way per set is direct.
typedef struct {
  uint32_t line_bytes, sector_bytes, ways, sets;
  uint32_t random;  // 1: pseudo-random replacement, 0: least recently used
  uint32_t write_allocate;
} ms_cache_config;

// A memory that does not answer in zero wait states. Times in 1/16 core cycles.
typedef struct {
  uint32_t first;        // stall until the first beat of a read
  uint32_t beat;         // between beats of a line
  uint32_t beat_bytes;   // per beat; also the unit of reads that no cache asks for
  uint32_t sequential;   // stall of an uncached read that continues the last, or of a refill read ahead
  uint32_t write;        // time a write keeps the memory busy
  uint32_t write_slack;  // how far writes may run ahead of the memory before the core waits
  uint32_t occupancy;    // how long one read keeps the memory busy
  uint32_t prefetch;     // 1: reads the next sector after an instruction fetch, when idle
  uint32_t external;     // 1: its stalls are reported as external
} ms_store_config;

typedef struct {
  uint32_t origin, size;
  uint32_t store;                    // MS_NONE: zero wait states
  uint32_t fetch_cache, data_cache;  // MS_NONE: none
  uint32_t jump;                     // extra stall of a jump into code there
  int32_t data;                      // extra time of any data access there; may be negative
  uint32_t bus;                      // accesses overlap only within one bus; 0 for the common one
} ms_region_config;

typedef struct {
  uint32_t region_count, cache_count, store_count;
  uint32_t bus_change;               // stall of a load that would overlap the last, on another bus
  ms_region_config regions[MS_REGIONS];
  ms_cache_config caches[MS_CACHES];
  ms_store_config stores[MS_STORES];
} ms_config;

// What one bucket (layer, function) paid, in 1/16 cycles, and how often.
typedef struct {
  int64_t core, fetch, data, external;
  uint64_t fetch_reads, data_reads, data_writes;      // accesses to simulated regions
  uint64_t fetch_misses, read_misses, write_misses;
  uint64_t unaligned;                                 // data accesses not aligned to their size
  uint64_t reads;                                     // what memories read, prefetches included
} ms_totals;

typedef struct ms_sim ms_sim;

uint32_t ms_version(void);
ms_sim *ms_new(const ms_config *config, uint32_t bucket_count);  // NULL: bad config or no memory
void ms_free(ms_sim *sim);
void ms_reset(ms_sim *sim);  // cold caches, clock and totals at zero
void ms_bucket(ms_sim *sim, uint32_t bucket);
// What is known of a block beforehand: its time at zero wait states in 1/16 cycles, how many data
// accesses it makes, and which of them (a bit each) the core overlaps with the access before.
typedef struct {
  uint32_t core, accesses;
  uint32_t chained[MS_CHAINED];
} ms_cost;

// A block of `size` bytes at `pc` begins. `cost` must live until the next block.
void ms_block(ms_sim *sim, uint32_t pc, uint32_t size, const ms_cost *cost);
void ms_access(ms_sim *sim, uint32_t address, uint32_t size, int write);
uint64_t ms_now(const ms_sim *sim);  // 1/16 cycles, up to the end of the current block
const ms_totals *ms_result(const ms_sim *sim, uint32_t bucket);

#endif
