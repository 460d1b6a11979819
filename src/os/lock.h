/* lock.h - a mutex of four bytes that needs no initialisation and survives fork.
 *
 * Held for a few hundred instructions at most; never across a system call that can sleep long. Locks are ordered:
 * a thread takes them in ascending rank only, and the fork handlers walk the ranks (front/init.c). */
#ifndef NEB_OS_LOCK_H
#define NEB_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_SHARED_HEAP, /* the heap of threads that have none of their own */
    LOCK_HEAP_TABLE,  /* ids and the free list of heap structures */
    LOCK_OWNERLESS,   /* one for each class: the list of ownerless partial slabs */
    LOCK_CHUNK,       /* granules of all chunks */
    LOCK_HUGE,        /* table of huge blocks, kept mappings */
    LOCK_PAGE_MAP,    /* growth of the page map */
    LOCK_META,        /* memory for metadata */
    LOCK_RANKS
};

struct lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody may sleep */
};

void neb_lock_take(struct lock *lock);
bool neb_lock_try(struct lock *lock);
void neb_lock_give(struct lock *lock);
/* Between the fork handlers a thread holds every lock; what it allocates there takes and gives none. */
void neb_lock_hold_all(bool held);
/* In the child of a fork, where no other thread is left: free, whatever it was. */
void neb_lock_reset(struct lock *lock);

#endif
