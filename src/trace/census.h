/* census.h - which call stacks' blocks lie in which slabs, and how much of each size class was asked for: from the blocks' records.
 *
 * Threads    any one at a time (the recorder's lock); others allocate and free meanwhile, so that sums may be off by what they did
 * Locks      LOCK_CHUNK, LOCK_TRACE_BLOCKS, one after the other, for some microseconds; none while visit runs
 * Complexity O(slabs + live blocks * log(blocks of a slab)) */
#ifndef NEB_TRACE_CENSUS_H
#define NEB_TRACE_CENSUS_H

#include "policy/tuning.h"
#include <stddef.h>
#include <stdint.h>

enum { CENSUS_STACKS = 8 };

struct census_slab {
    unsigned class_index;
    size_t used;         /* blocks with a record of this session */
    size_t stack_count;  /* of the ones below: those with most blocks, the most first */
    struct {
        uint32_t name;   /* as block records have it: a node of the depot, or a site */
        uint32_t blocks;
    } stack[CENSUS_STACKS];
};

/* In the order of addresses. live_bytes: of each size class, as asked for. */
void neb_census(uint32_t session, void (*visit)(void *argument, const struct census_slab *slab), void *argument,
                uint64_t live_bytes[CLASS_COUNT]);

#endif
