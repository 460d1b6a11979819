/* pool.h - recycled memory: a heap's slabs of one size class and the magazine before them.
 *
 *   malloc <-- magazine <-- refill -- bits of own slabs, inbox, bump arena, ownerless slab, fresh slab
 *   free   --> magazine --- flush --> bits of own slabs | claim | outbox of the owner
 *
 * Ownership of slabs (tests/model/protocol.pml is the checked model):
 *
 *                 a free claims it, or a refill adopts it from the list: compare-and-swap
 *       OWNERLESS --------------------------------------------------------------> OWNED(h)
 *           ^------- detach (no free block is left), abandon (onto the list) -------'  |
 *                                                          released: every block free -'
 *
 * Invariant  only h changes an entry that says OWNED(h); a block in a magazine or batch counts as used, so that its
 *            slab stays; a slab is on the ownerless list only while it has free blocks and no owner, or its new
 *            owner is about to take it off
 * Ownership  all of it: the heap's thread (or who holds the shared heap's lock)
 * Locks      LOCK_OWNERLESS of one class; below it none
 * Failure    refill answers false without memory; a free cannot fail
 * Sync       O1: an entry without owner is published after the bits; a claim acquires them */
#ifndef NEB_HEAP_POOL_H
#define NEB_HEAP_POOL_H

#include "heap/heap.h"

/* Puts at least one block into the class's empty magazine. False: no memory. */
bool neb_pool_refill(struct heap *heap, unsigned class_index);
/* A block from a bump arena that is known to be zero, without a look at the magazine; NULL: none at hand. */
void *neb_pool_take_zero(struct heap *heap, unsigned class_index);
/* Takes back a block that begins at p; its granule's entry is pooled. call: for the message when it doesn't. */
void neb_pool_give(struct heap *heap, void *p, const char *call);

/* Every TICK_CALLS slow calls: sends and applies batches; every decay_ms also gives back what is idle. */
void neb_heap_tick(struct heap *heap);
void neb_heap_set_decay(uint32_t decay_ms);
uint32_t neb_heap_decay(void);
/* Gives back all that this heap and the ownerless slabs can spare; bytes. */
size_t neb_heap_trim(struct heap *heap);
/* The end of the heap's thread: nothing stays stuck in it. */
void neb_heap_give_up(struct heap *heap);

#endif
