/* lock.h - a mutex of four bytes that needs no initialisation and survives fork.
 *
 * Held for a few hundred instructions at most; never across a system call that can sleep long. Locks are ordered:
 * a thread takes them in ascending rank only. */
#ifndef NEB_OS_LOCK_H
#define NEB_OS_LOCK_H

#include "base/attr.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_QUARANTINE,  /* order of freed blocks that are kept back; never held with another */
    LOCK_SHARED_HEAP, /* the heap of threads that have none of their own */
    LOCK_HEAP_TABLE,  /* ids, and the lists of heaps without a thread */
    LOCK_REGION,      /* memory of scopes, bump arenas, pools and stacks */
    LOCK_CHUNK,       /* granules of all chunks */
    LOCK_HUGE,        /* table of huge blocks, kept mappings */
    LOCK_PAGE_MAP,    /* growth of the page map */
    LOCK_STACKS,       /* new call stacks */
    LOCK_TRACE_SHARED, /* the lane of threads that have none of their own any more */
    LOCK_TRACE_LANES, /* which thread writes which lane; records of threads, marks, sites that are begun */
    LOCK_TRACE_BLOCKS, /* arrays of blocks' records */
    LOCK_TRACE_DEPOT, /* new call stacks and modules */
    LOCK_TRACE_FILE,  /* the end of the file that is written */
    LOCK_GUARD,       /* slots of guarded blocks; never held with another */
    LOCK_META,        /* memory for metadata */
    LOCK_OWNERLESS,   /* one for each size class: the list of ownerless partial slabs; never two at a time, nor any other in them. Last, so
                       * that all others share a page */
    LOCK_COUNT = LOCK_OWNERLESS + 80
};

struct lock {
    NEB_ALIGNED(64) _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody may sleep */
};

/* All locks there are, by rank. */
extern NEB_HIDDEN struct lock neb_locks[LOCK_COUNT];

/* What the calling thread holds. A signal handler that came while locks is not 0 could wait for itself for ever: it
 * is put off until the last one is given (os/signal.h). */
struct hold {
    uint64_t deferred; /* signals that were put off: bit number - 1 */
    uint16_t locks;    /* counted before a lock is taken, and until after it was given */
    bool all;          /* between take_all and give_all */
    /* Small facts of other rooms that would cost eight bytes each of their own: thread-local storage is scarce. */
    bool lane_ended : 1;       /* trace/lane.c */
    bool pick_is_idle : 1;     /* front/pick.h: nothing is due at the countdown's end */
    _Atomic uint8_t lane_busy; /* trace/lane.c */
    uint8_t pick;              /* front/pick.h: allocations up to the countdown's end */
    uint16_t number;           /* check/block.c */
};
_Static_assert(sizeof(struct hold) <= 16, "static thread-local storage is scarce for libraries loaded late");
extern NEB_HIDDEN _Thread_local struct hold neb_hold __attribute__((tls_model("initial-exec")));

/* A moment for whoever waits in a loop. */
void neb_lock_pause(void);
void neb_lock_take(struct lock *lock);
bool neb_lock_try(struct lock *lock);
/* Tries for a while, giving the others time: for signal handlers, which may have interrupted who holds it. */
bool neb_lock_try_patiently(struct lock *lock);
void neb_lock_give(struct lock *lock);
/* In the child of a fork, where no other thread is left: free, whatever it was. */
void neb_lock_reset(struct lock *lock);

/* Unless the thread holds some already: all locks, in the order of ranks, so that the state of the whole allocator stands still. What the calling thread
 * allocates in between takes and gives none. */
void neb_locks_take_all(void);
/* The same, without waiting for ever: the thread itself may hold one, in a signal handler. */
bool neb_locks_try_all(void);
void neb_locks_give_all(void);
/* In the child, instead of giving them. */
void neb_locks_reset_all(void);

#endif
