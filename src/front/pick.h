/* pick.h - sampled guarding: one of so many allocations stands against an inaccessible page (the option guard_sample).
 *
 *   malloc --(watched: one branch, as for the recording modes)--> traced.c --> the thread's countdown --0--> check/guard.h
 *
 * The distance to the next one is exponential (trace/sample.h), so that no pattern of the program escapes, and without memory:
 * who has waited for 127 allocations may draw anew. So a byte is room enough for the countdown. Frees need no watching: the
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

/* Of neb_hold.pick: allocations up to the end of the countdown, that one included, 0: not begun; whether nothing is due then. */
enum { PICK_COUNT = 0x7f, PICK_IDLE = 0x80 };

/* Once, before there are threads. 1 in mean; 0: none, ever. */
void neb_pick_begin(uint64_t mean);
/* The countdown is over: whether this allocation is to be guarded. Begins the next one. */
bool neb_pick_slow(void);
/* NULL: no slot for it. Keeps errno. */
void *neb_pick_alloc(size_t size, size_t alignment);

/* Counts this allocation. True: ask neb_pick_slow. */
NEB_INLINE bool pick_is_over(void)
{
    uint8_t now = neb_hold.pick;
    bool is_over = NEB_UNLIKELY((now & PICK_COUNT) <= 1);
    if (!is_over)
        neb_hold.pick = (uint8_t)(now - 1);
    return is_over;
}

#endif
