/* pick.h - sampled guarding: one of so many allocations stands against an inaccessible page (the option guard_sample).
 *
 *   malloc --(watched: one branch, as for the recording modes)--> the thread's countdown --0--> traced.c --> check/guard.h
 *
 * The distance to the next one is exponential (trace/sample.h), so that no pattern of the program escapes, and without memory:
 * who has waited for 254 allocations may draw anew. So a byte is room enough for the countdown. Frees need no watching: the
 * page map does not know such a block, so that its free is a slow call.
 *
 * Ownership  the countdown: its thread. A handler that interrupts the counting makes it wrong by one
 * Failure    the block is an ordinary one */
#ifndef NEB_FRONT_PICK_H
#define NEB_FRONT_PICK_H

#include "base/attr.h"
#include "os/lock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before there are threads. 1 in mean; 0: none, ever. */
void neb_pick_begin(uint64_t mean);
/* The countdown is over: whether this allocation is to be guarded. Begins the next one. */
bool neb_pick_slow(void);
/* NULL: no slot for it. Keeps errno. */
void *neb_pick_alloc(size_t size, size_t alignment);

/* Counts this allocation, at the program's call. False: the countdown is over, which stays so until neb_pick_slow was asked. */
NEB_INLINE bool pick_skips(void)
{
    return NEB_LIKELY(--neb_hold.pick != 0);
}

/* The same where it may have been counted, and been the last. */
NEB_INLINE bool pick_is_over(void)
{
    return neb_hold.pick == 0 || !pick_skips();
}

#endif
