/* stacks.h - call stacks, each kept once, by number.
 *
 *   bucket[hash] --> number --> {next number, count, pcs...}   in segments that are never moved or freed
 *
 * Invariant  an entry never changes once its number stands in a bucket
 * Ownership  entries: any thread reads; added under the lock
 * Locks      LOCK_STACKS
 * Failure    0: no memory, or full; a block then has no stack
 * Sync       D1: an entry is written before its number stands in a bucket */
#ifndef NEB_CHECK_STACKS_H
#define NEB_CHECK_STACKS_H

#include <stddef.h>
#include <stdint.h>

/* Of so many addresses, all 64 bits of it: who remembers some numbers by their stacks' hashes need not ask for them here. */
uint64_t neb_stacks_hash(const uintptr_t *pcs, int count);
/* The number of the stack with this hash, which is not 0; 0: see above. O(1) but for collisions; no lock if it is known. */
uint32_t neb_stacks_put(const uintptr_t *pcs, int count, uint64_t hash);
/* Its addresses; how many. */
int neb_stacks_get(uint32_t number, const uintptr_t **pcs);
size_t neb_stacks_bytes(void);

#endif
