/* vacant.h - heaps whose thread ended.
 *
 *   a thread ends --> its heap is small: parked ---------------> the next thread that allocates: slabs and magazines are at hand
 *               `---> else: given up --> empty <-- retired --'
 *                                         `--> a thread that deserves a heap
 *
 * Where threads live for some hundred calls, one after the other, giving up and making anew is most of what they cost: the next one finds
 * what the one before needed. policy/tuning.h has the numbers.
 *
 * Law        a parked heap is one whose thread does nothing: its outbox is empty, its inbox open, and others send it blocks
 *            an empty heap owns and holds nothing; its inbox is closed
 * Ownership  the heap: who took it off the lists
 * Locks      LOCK_HEAP_TABLE for the lists alone: nothing is given up under it
 * Failure    NULL: there is none */
#ifndef NEB_HEAP_VACANT_H
#define NEB_HEAP_VACANT_H

#include "heap/heap.h"

/* The calling thread has no use for the heap any more, and does nothing with it from now on. */
void neb_vacant_put(struct heap *heap);
/* The one that was parked last. */
struct heap *neb_vacant_take_parked(void);
struct heap *neb_vacant_take_empty(void);
/* Gives up those that were parked for so many milliseconds; 0: all. */
void neb_vacant_retire(uint32_t now_ms, uint32_t age_ms);

#endif
