/* upkeep.h - what a heap does besides serving calls: give back what is idle, and end.
 *
 *   tick    every TICK_CALLS slow calls: batches are sent and applied, chunks decay; every decay_ms the pools that were
 *           not used since are emptied, and the free pages of their slabs purged
 *   wake    a watched malloc: the same, and mappings that are kept decay, each time that one comes late
 *   trim    all of that at once
 *   flush   every magazine is emptied, by which each freed block is looked at
 *   settle  a heap without a thread may wait for the next one (vacant.h); after decay_ms a tick of any heap ends it
 *   give up nothing stays stuck in the heap
 *
 * Ownership  the heap's thread (or who holds the shared heap's lock); the decay time: any thread
 * Locks      none of its own */
#ifndef NEB_HEAP_UPKEEP_H
#define NEB_HEAP_UPKEEP_H

#include "heap/heap.h"

void neb_heap_tick_slow(struct heap *heap);

NEB_INLINE void heap_tick(struct heap *heap)
{
    if (NEB_UNLIKELY(++heap->slow_calls % TICK_CALLS == 0))
        neb_heap_tick_slow(heap);
}

/* For a watched malloc (heap.h), which has a heap of its own. */
void neb_heap_wake(struct heap *heap);

void neb_heap_set_decay(uint32_t decay_ms);
uint32_t neb_heap_decay(void);
void neb_heap_flush(struct heap *heap);
/* Gives back all that this heap and the ownerless slabs can spare; bytes. */
size_t neb_heap_trim(struct heap *heap);
/* The heap's thread ended: nothing stays in the outbox, and no more in the magazines than a parked heap may hold. False: it owns too much to
 * be parked. */
bool neb_heap_settle(struct heap *heap);
/* The end of the heap. */
void neb_heap_give_up(struct heap *heap);

#endif
